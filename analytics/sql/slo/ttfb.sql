-- Do users get their first token in time?
--
-- Good: time to first token below the threshold. Runs without one are missing: not good, not bad.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $threshold_ms    DOUBLE       ms
--   $target          DOUBLE       share of runs that must be good, 0 to 1
--
-- Columns (one row):
--   good       BIGINT   runs that are as they should be
--   total      BIGINT   runs that can be judged
--   excluded   BIGINT   runs that are neither good nor bad by the rule
--   missing    BIGINT   runs that should be judged but cannot
--   value      DOUBLE   ms; time to first token that a share of target runs stays within
--   threshold  DOUBLE   ms; what the value must stay below
--   unit       VARCHAR  of value and threshold: ms
--   better     VARCHAR  whether the value should be lower or higher than the threshold
SELECT
    COUNT(*) FILTER (WHERE ttfb_ms < $threshold_ms) AS good,
    COUNT(ttfb_ms) AS total,
    0 AS excluded,
    COUNT(*) - COUNT(ttfb_ms) AS missing,
    percentile_cont($target) WITHIN GROUP (ORDER BY ttfb_ms) AS value,
    CAST($threshold_ms AS DOUBLE) AS threshold,
    'ms' AS unit,
    'lower' AS better
FROM runs
WHERE started_at >= $since
  AND started_at < $until
  AND ($tenant IS NULL OR tenant_id = $tenant)
