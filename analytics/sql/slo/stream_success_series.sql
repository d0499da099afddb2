-- slo/stream_success, bucket by bucket.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $bucket_seconds  DOUBLE       length of a bucket; buckets begin at multiples of it
--
-- Columns (one row per bucket with runs, in order):
--   bucket_start  TIMESTAMPTZ  UTC
--   good          BIGINT       runs that are as they should be
--   total         BIGINT       runs that can be judged
--   value         DOUBLE       good / total, 0 to 1; NULL when total is 0
SELECT
    to_timestamp(floor(epoch(started_at) / $bucket_seconds) * $bucket_seconds) AS bucket_start,
    COUNT(*) FILTER (WHERE verdict = 'good') AS good,
    COUNT(*) FILTER (WHERE verdict IN ('good', 'bad')) AS total,
    CAST(COUNT(*) FILTER (WHERE verdict = 'good') AS DOUBLE)
        / NULLIF(COUNT(*) FILTER (WHERE verdict IN ('good', 'bad')), 0) AS value
FROM run_success
WHERE started_at >= $since
  AND started_at < $until
  AND ($tenant IS NULL OR tenant_id = $tenant)
GROUP BY bucket_start
ORDER BY bucket_start
