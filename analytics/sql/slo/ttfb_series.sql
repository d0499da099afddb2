-- slo/ttfb, bucket by bucket.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $threshold_ms    DOUBLE       ms
--   $target          DOUBLE       share of runs that must be good, 0 to 1
--   $bucket_seconds  DOUBLE       length of a bucket; buckets begin at multiples of it
--
-- Columns (one row per bucket with runs, in order):
--   bucket_start  TIMESTAMPTZ  UTC
--   good          BIGINT       runs that are as they should be
--   total         BIGINT       runs that can be judged
--   value         DOUBLE       ms; time to first token that a share of target runs stays within
SELECT
    to_timestamp(floor(epoch(started_at) / $bucket_seconds) * $bucket_seconds) AS bucket_start,
    COUNT(*) FILTER (WHERE ttfb_ms < $threshold_ms) AS good,
    COUNT(ttfb_ms) AS total,
    percentile_cont($target) WITHIN GROUP (ORDER BY ttfb_ms) AS value
FROM runs
WHERE started_at >= $since
  AND started_at < $until
  AND ($tenant IS NULL OR tenant_id = $tenant)
GROUP BY bucket_start
ORDER BY bucket_start
