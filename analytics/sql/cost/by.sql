-- Who spent the money?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  usage with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $by              VARCHAR      what to break down by, comma-separated, any of: tenant, user,
--                                 agent, feature, provider, model, day; such as 'tenant,model'
--
-- Columns (a column that was not asked for in $by is NULL; by day, dearest first):
--   tenant_id           VARCHAR
--   user_id             VARCHAR
--   agent_name          VARCHAR
--   feature             VARCHAR  the agent's name where no feature was set
--   provider            VARCHAR
--   model               VARCHAR  the model that answered, else the one asked for
--   day                 DATE     UTC
--   runs                BIGINT   agent requests
--   calls               BIGINT   model calls; usage known only in sum counts as one
--   input_tokens        BIGINT   tokens, cached ones included
--   cache_read_tokens   BIGINT   tokens
--   cache_write_tokens  BIGINT   tokens
--   output_tokens       BIGINT   tokens, reasoning included
--   reasoning_tokens    BIGINT   tokens
--   cost_usd            DECIMAL  USD of what could be priced; NULL when nothing could
--   unpriced_calls      BIGINT   calls whose cost is unknown and not in cost_usd
WITH used AS (
    SELECT
        CASE WHEN ',' || $by || ',' LIKE '%,tenant,%' THEN tenant_id END AS tenant_id,
        CASE WHEN ',' || $by || ',' LIKE '%,user,%' THEN user_id END AS user_id,
        CASE WHEN ',' || $by || ',' LIKE '%,agent,%' THEN agent_name END AS agent_name,
        CASE WHEN ',' || $by || ',' LIKE '%,feature,%' THEN feature END AS feature,
        CASE WHEN ',' || $by || ',' LIKE '%,provider,%' THEN provider END AS provider,
        CASE WHEN ',' || $by || ',' LIKE '%,model,%'
            THEN COALESCE(response_model, request_model) END AS model,
        CASE WHEN ',' || $by || ',' LIKE '%,day,%' THEN CAST(started_at AS DATE) END AS day,
        run_id, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
        reasoning_tokens, cost_usd, unpriced
    FROM usage
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
)
SELECT
    tenant_id, user_id, agent_name, feature, provider, model, day,
    COUNT(DISTINCT run_id) AS runs,
    COUNT(*) AS calls,
    TRY_CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT) AS input_tokens,
    TRY_CAST(COALESCE(SUM(cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
    TRY_CAST(COALESCE(SUM(cache_write_tokens), 0) AS BIGINT) AS cache_write_tokens,
    TRY_CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT) AS output_tokens,
    TRY_CAST(COALESCE(SUM(reasoning_tokens), 0) AS BIGINT) AS reasoning_tokens,
    SUM(cost_usd) AS cost_usd,
    COUNT(*) FILTER (WHERE unpriced) AS unpriced_calls
FROM used
GROUP BY tenant_id, user_id, agent_name, feature, provider, model, day
ORDER BY day, cost_usd DESC NULLS LAST, tenant_id, user_id, agent_name, feature, provider, model
