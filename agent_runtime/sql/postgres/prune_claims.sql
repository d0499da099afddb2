-- Forget writes that were finished long ago; those in doubt stay.
--
-- Parameters:
--   older_than_s  DOUBLE  seconds since they were finished
--
-- Columns (a row for each):
--   idempotency_key  TEXT
DELETE FROM agent_claim
WHERE finished_at < clock_timestamp() - make_interval(secs => %(older_than_s)s)
RETURNING idempotency_key;
