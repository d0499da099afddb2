-- slo/cost_per_request, bucket by bucket.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $limit_usd       DECIMAL      USD per run
--   $target          DOUBLE       share of runs that must be good, 0 to 1
--   $bucket_seconds  DOUBLE       length of a bucket; buckets begin at multiples of it
--
-- Columns (one row per bucket with runs, in order):
--   bucket_start  TIMESTAMPTZ  UTC
--   good          BIGINT       runs that are as they should be
--   total         BIGINT       runs that can be judged
--   value         DOUBLE       USD; cost that a share of target runs stays within
SELECT
    to_timestamp(floor(epoch(started_at) / $bucket_seconds) * $bucket_seconds) AS bucket_start,
    COUNT(*) FILTER (WHERE cost_usd < limit_usd AND unpriced_calls = 0) AS good,
    COUNT(*) FILTER (WHERE unpriced_calls = 0 OR cost_usd >= limit_usd) AS total,
    CAST(percentile_cont($target) WITHIN GROUP (
        ORDER BY CASE WHEN unpriced_calls = 0 OR cost_usd >= limit_usd THEN cost_usd END
    ) AS DOUBLE) AS value
FROM (
    SELECT started_at, cost_usd, unpriced_calls, CAST($limit_usd AS DECIMAL(18, 9)) AS limit_usd
    FROM runs
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
      AND (cost_usd IS NOT NULL OR unpriced_calls > 0)
) AS judged
GROUP BY bucket_start
ORDER BY bucket_start
