-- Claim a write that nobody has claimed.
--
-- Sent twice by the same call it is claimed once.
--
-- Parameters:
--   idempotency_key, asked_sha256, arguments_sha256, tenant_id, thread_id, tool  TEXT
--   owner    TEXT    token of the call
--   lease_s  REAL  seconds from now that it may take
--
-- Columns (no row when it was claimed before):
--   owner    as given
INSERT INTO agent_claim AS claim (
    idempotency_key, asked_sha256, arguments_sha256, tenant_id, thread_id, tool, owner,
    lease_until
)
VALUES (
    :idempotency_key, :asked_sha256, :arguments_sha256, :tenant_id, :thread_id,
    :tool, :owner,
    (julianday('now') - 2440587.5) * 86400.0 + :lease_s
)
ON CONFLICT (idempotency_key) DO UPDATE
SET lease_until = excluded.lease_until
WHERE claim.owner = excluded.owner AND claim.result IS NULL
RETURNING owner;
