-- What is the TTFB p95 right now, overall and for each tenant, and on how much evidence?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--
-- Columns:
--   scope      VARCHAR  overall (one row, always present) or tenant (one row per tenant with runs)
--   tenant_id  VARCHAR  NULL on the overall row; runs without a tenant count in that row only
--   p95_ms     DOUBLE   ms; exact 95th percentile, linear interpolation; NULL without samples
--   samples    BIGINT   runs that carry a TTFB
--   runs       BIGINT   all runs
--   coverage   DOUBLE   samples / runs, 0 to 1; NULL without runs
SELECT
    CASE WHEN GROUPING(tenant_id) = 1 THEN 'overall' ELSE 'tenant' END AS scope,
    tenant_id,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY ttfb_ms) AS p95_ms,
    COUNT(ttfb_ms) AS samples,
    COUNT(*) AS runs,
    CAST(COUNT(ttfb_ms) AS DOUBLE) / NULLIF(COUNT(*), 0) AS coverage
FROM run_starts
WHERE started_at >= $since
  AND started_at < $until
  AND ($tenant IS NULL OR tenant_id = $tenant)
GROUP BY GROUPING SETS ((tenant_id), ())
HAVING GROUPING(tenant_id) = 1 OR tenant_id IS NOT NULL
ORDER BY scope, tenant_id
