-- An incident began.
INSERT INTO incidents (fingerprint, rule, tenant_id, started_at, firing)
VALUES (:fingerprint, :rule, :tenant_id, :started_at, :notification)
