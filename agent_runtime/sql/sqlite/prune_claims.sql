-- Forget writes that were finished long ago; those in doubt stay.
--
-- Parameters:
--   older_than_s  REAL  seconds since they were finished
--
-- Columns (a row for each):
--   idempotency_key  TEXT
DELETE FROM agent_claim
WHERE finished_at < (julianday('now') - 2440587.5) * 86400.0 - :older_than_s
RETURNING idempotency_key;
