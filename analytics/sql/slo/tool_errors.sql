-- How often does a tool's failure reach the user?
--
-- Counted are runs that called a tool. Bad: the last call of some tool failed; an error that a retry
-- made good is not (tools/error_rate shows those too). Of a run that only its summary line tells of, any
-- failed call is bad: see the view run_tools.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= start of the first tool call < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $target          DOUBLE       share of runs that must be good, 0 to 1
--
-- Columns (one row):
--   good       BIGINT   runs that are as they should be
--   total      BIGINT   runs that can be judged
--   excluded   BIGINT   runs that are neither good nor bad by the rule
--   missing    BIGINT   runs that should be judged but cannot
--   value      DOUBLE   share of runs with a surfaced tool error, 0 to 1; NULL when total is 0
--   threshold  DOUBLE   what the value must stay below: 1 - target
--   unit       VARCHAR  of value and threshold: ratio
--   better     VARCHAR  whether the value should be lower or higher than the threshold
SELECT
    COUNT(*) FILTER (WHERE verdict = 'good') AS good,
    COUNT(*) FILTER (WHERE verdict IN ('good', 'bad')) AS total,
    COUNT(*) FILTER (WHERE verdict = 'excluded') AS excluded,
    COUNT(*) FILTER (WHERE verdict = 'missing') AS missing,
    CAST(COUNT(*) FILTER (WHERE verdict = 'bad') AS DOUBLE)
        / NULLIF(COUNT(*) FILTER (WHERE verdict IN ('good', 'bad')), 0) AS value,
    ROUND(1 - CAST($target AS DOUBLE), 9) AS threshold,
    'ratio' AS unit,
    'lower' AS better
FROM run_tools
WHERE started_at >= $since
  AND started_at < $until
  AND ($tenant IS NULL OR tenant_id = $tenant)
