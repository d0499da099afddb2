-- Can the lake be read? Asked for a moment's time, it costs next to nothing.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--
-- Columns (one row):
--   runs  BIGINT  agent requests
SELECT COUNT(*) AS runs
FROM runs
WHERE started_at >= $since
  AND started_at < $until
