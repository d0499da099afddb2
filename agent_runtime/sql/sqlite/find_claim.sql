-- The claim of a write.
--
-- Parameters:
--   idempotency_key  TEXT
--
-- Columns (no row when nobody has claimed it):
--   owner, arguments_sha256  TEXT
--   asked_sha256  TEXT        NULL in claims of versions that did not keep it
--   acts          INTEGER
--   result        JSON as text  NULL until the write is done
--   lease_left_s  REAL        how long its owner may still be acting; not above 0 when it cannot
SELECT
    owner, asked_sha256, arguments_sha256, acts, result,
    lease_until - (julianday('now') - 2440587.5) * 86400.0 AS lease_left_s
FROM agent_claim
WHERE idempotency_key = :idempotency_key;
