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
--   lease_left_s  DOUBLE        how long its owner may still be acting; not above 0 when it cannot
SELECT
    owner, asked_sha256, arguments_sha256, acts, result::TEXT AS result,
    extract(epoch FROM lease_until - clock_timestamp())::DOUBLE PRECISION AS lease_left_s
FROM agent_claim
WHERE idempotency_key = %(idempotency_key)s;
