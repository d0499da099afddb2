-- Do users get the whole answer?
--
-- Good: the run ended well. What is excluded and what is bad: see the view run_success.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $target          DOUBLE       share of runs that must be good, 0 to 1
--
-- Columns (one row):
--   good       BIGINT   runs that are as they should be
--   total      BIGINT   runs that can be judged
--   excluded   BIGINT   runs that are neither good nor bad by the rule
--   missing    BIGINT   runs that should be judged but cannot
--   value      DOUBLE   good / total, 0 to 1; NULL when total is 0
--   threshold  DOUBLE   what the value must reach
--   unit       VARCHAR  of value and threshold: ratio
--   better     VARCHAR  whether the value should be lower or higher than the threshold
SELECT
    COUNT(*) FILTER (WHERE verdict = 'good') AS good,
    COUNT(*) FILTER (WHERE verdict IN ('good', 'bad')) AS total,
    COUNT(*) FILTER (WHERE verdict = 'excluded') AS excluded,
    COUNT(*) FILTER (WHERE verdict = 'missing') AS missing,
    CAST(COUNT(*) FILTER (WHERE verdict = 'good') AS DOUBLE)
        / NULLIF(COUNT(*) FILTER (WHERE verdict IN ('good', 'bad')), 0) AS value,
    CAST($target AS DOUBLE) AS threshold,
    'ratio' AS unit,
    'higher' AS better
FROM run_success
WHERE started_at >= $since
  AND started_at < $until
  AND ($tenant IS NULL OR tenant_id = $tenant)
