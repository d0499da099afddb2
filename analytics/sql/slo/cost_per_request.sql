-- Does a request cost what it should?
--
-- Good: all of the run is priced and it cost less than the limit. A run that is priced in part is bad
-- once the part reaches the limit, else missing. Runs that used no model are excluded.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $limit_usd       DECIMAL      USD per run
--   $target          DOUBLE       share of runs that must be good, 0 to 1
--
-- Columns (one row):
--   good       BIGINT   runs that are as they should be
--   total      BIGINT   runs that can be judged
--   excluded   BIGINT   runs that are neither good nor bad by the rule
--   missing    BIGINT   runs that should be judged but cannot
--   value      DOUBLE   USD; cost that a share of target runs stays within
--   threshold  DOUBLE   USD; what the value must stay below
--   unit       VARCHAR  of value and threshold: USD
--   better     VARCHAR  whether the value should be lower or higher than the threshold
SELECT
    COUNT(*) FILTER (WHERE cost_usd < limit_usd AND unpriced_calls = 0) AS good,
    COUNT(*) FILTER (WHERE unpriced_calls = 0 OR cost_usd >= limit_usd) AS total,
    COUNT(*) FILTER (WHERE unused) AS excluded,
    COUNT(*) FILTER (WHERE unpriced_calls > 0 AND COALESCE(cost_usd, 0) < limit_usd) AS missing,
    CAST(percentile_cont($target) WITHIN GROUP (
        ORDER BY CASE WHEN unpriced_calls = 0 OR cost_usd >= limit_usd THEN cost_usd END
    ) AS DOUBLE) AS value,
    CAST($limit_usd AS DOUBLE) AS threshold,
    'USD' AS unit,
    'lower' AS better
FROM (
    SELECT
        cost_usd,
        CASE WHEN cost_usd IS NOT NULL OR unpriced_calls > 0 THEN unpriced_calls END
            AS unpriced_calls,
        cost_usd IS NULL AND unpriced_calls = 0 AS unused,
        CAST($limit_usd AS DECIMAL(18, 9)) AS limit_usd
    FROM runs
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
) AS judged
