-- Which tenants are there to pick from?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--
-- Columns (one row per tenant, by name; runs without a tenant are left out):
--   tenant_id  VARCHAR
--   runs       BIGINT   agent requests
SELECT
    tenant_id,
    COUNT(*) AS runs
FROM runs
WHERE started_at >= $since
  AND started_at < $until
  AND tenant_id IS NOT NULL
GROUP BY tenant_id
ORDER BY tenant_id
