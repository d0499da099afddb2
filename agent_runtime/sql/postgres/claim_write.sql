-- Claim a write that nobody has claimed.
--
-- Sent twice by the same call it is claimed once.
--
-- Parameters:
--   idempotency_key, asked_sha256, arguments_sha256, tenant_id, thread_id, tool  TEXT
--   owner    TEXT    token of the call
--   lease_s  DOUBLE  seconds from now that it may take
--
-- Columns (no row when it was claimed before):
--   owner    as given
INSERT INTO agent_claim AS claim (
    idempotency_key, asked_sha256, arguments_sha256, tenant_id, thread_id, tool, owner,
    lease_until
)
VALUES (
    %(idempotency_key)s, %(asked_sha256)s, %(arguments_sha256)s, %(tenant_id)s, %(thread_id)s,
    %(tool)s, %(owner)s,
    clock_timestamp() + make_interval(secs => %(lease_s)s)
)
ON CONFLICT (idempotency_key) DO UPDATE
SET lease_until = excluded.lease_until
WHERE claim.owner = excluded.owner AND claim.result IS NULL
RETURNING owner;
