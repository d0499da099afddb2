-- When did the newest run start?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--
-- Columns (always one row):
--   newest_run_at  TIMESTAMPTZ  UTC; NULL when there was no run
SELECT MAX(started_at) AS newest_run_at
FROM runs
WHERE started_at >= $since
  AND started_at < $until
