-- How much happened: runs, who asked, calls, tokens and money?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs, calls and usage with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--
-- Columns (one row):
--   runs            BIGINT       agent requests
--   newest_run_at   TIMESTAMPTZ  UTC; start of the newest run, NULL without runs
--   tenants         BIGINT       tenants with a run
--   users           BIGINT       users with a run; the same user id of two tenants is two users
--   tool_calls      BIGINT       tool calls, each try counted
--   model_calls     BIGINT       model calls; usage known only in sum counts as one
--   input_tokens    BIGINT       tokens, cached ones included
--   output_tokens   BIGINT       tokens, reasoning included
--   cost_usd        DECIMAL      USD of what could be priced; NULL when nothing could
--   unpriced_calls  BIGINT       calls whose cost is unknown and not in cost_usd
SELECT *
FROM (
    SELECT
        COUNT(*) AS runs,
        MAX(started_at) AS newest_run_at,
        COUNT(DISTINCT tenant_id) AS tenants,
        COUNT(DISTINCT CONCAT(COALESCE(tenant_id, ''), '/', user_id))
            FILTER (WHERE user_id IS NOT NULL) AS users
    FROM runs
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
) AS requests
CROSS JOIN (
    SELECT TRY_CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS tool_calls
    FROM (
        SELECT started_at, tenant_id, 1 AS calls FROM tool_calls
        UNION ALL
        SELECT started_at, tenant_id, tool_calls AS calls FROM summed_tools
    ) AS called
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
) AS tools
CROSS JOIN (
    SELECT
        COUNT(*) AS model_calls,
        TRY_CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT) AS input_tokens,
        TRY_CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT) AS output_tokens,
        SUM(cost_usd) AS cost_usd,
        COUNT(*) FILTER (WHERE unpriced) AS unpriced_calls
    FROM usage
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
) AS spent
