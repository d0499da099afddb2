-- How many runs were there, where were they seen, and is each source there at all?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only runs of this tenant; NULL = all
--
-- Columns (one row):
--   runs        BIGINT   agent requests
--   from_logs   BIGINT   of these, known from their lines alone
--   with_spans  BOOLEAN  whether any run, of whomever, left spans
--   with_lines  BOOLEAN  whether any run, of whomever, left lines: a summary, or of a call
SELECT told.runs, told.from_logs, traced.runs > 0 AS with_spans, logged.lines > 0 AS with_lines
FROM (
    SELECT COUNT(*) AS runs, COUNT(*) FILTER (WHERE source = 'logs') AS from_logs
    FROM run_endings
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
) AS told
CROSS JOIN (
    SELECT COUNT(*) AS runs
    FROM run_spans
    WHERE started_at >= $since
      AND started_at < $until
) AS traced
CROSS JOIN (
    SELECT COUNT(*) AS lines
    FROM lake_logs
    WHERE span_class IN ('agent', 'llm', 'tool')
      AND time >= $since
      AND time < $until
) AS logged
