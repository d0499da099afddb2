-- How much of what is asked of the telemetry does it say?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs and calls with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--
-- Columns (one row):
--   runs             BIGINT  agent requests
--   with_ttfb        BIGINT  of these, with a time to first token
--   with_tenant      BIGINT  of these, with a tenant
--   with_user        BIGINT  of these, with a user
--   model_calls      BIGINT  model calls; usage known only in sum counts as one
--   unpriced_calls   BIGINT  of these, with unknown cost
--   unpriced_models  VARCHAR the models of these, comma-separated; NULL without any
--   cached_over_input BIGINT of these, with more cached than input tokens: a wrong mapping
SELECT *
FROM (
    SELECT
        COUNT(*) AS runs,
        COUNT(ttfb_ms) AS with_ttfb,
        COUNT(tenant_id) AS with_tenant,
        COUNT(user_id) AS with_user
    FROM runs
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
) AS requests
CROSS JOIN (
    SELECT
        COUNT(*) AS model_calls,
        COUNT(*) FILTER (WHERE unpriced) AS unpriced_calls,
        string_agg(DISTINCT COALESCE(response_model, request_model), ', ') FILTER (WHERE unpriced)
            AS unpriced_models,
        COUNT(*) FILTER (
            WHERE CAST(COALESCE(cache_read_tokens, 0) AS DOUBLE)
                + CAST(COALESCE(cache_write_tokens, 0) AS DOUBLE) > CAST(input_tokens AS DOUBLE)
        ) AS cached_over_input
    FROM usage
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
) AS spent
