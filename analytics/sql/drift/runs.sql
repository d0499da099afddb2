-- How many runs were there, and where were they seen?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--
-- Columns (one row):
--   runs       BIGINT  agent requests
--   from_logs  BIGINT  of these, known from their lines alone
SELECT
    COUNT(*) AS runs,
    COUNT(*) FILTER (WHERE source = 'logs') AS from_logs
FROM run_endings
WHERE started_at >= $since
  AND started_at < $until
  AND ($tenant IS NULL OR tenant_id = $tenant)
