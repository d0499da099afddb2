-- Which sources state more cached tokens than input?
--
-- A part cannot exceed its whole: such a source counts cached tokens apart, and ingest added them
-- to the input. What it stated is still in the attributes.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  spans and log records with since <= time < until
--   $input_names     VARCHAR[]    attributes that input_tokens is taken from
--   $tenant          VARCHAR      only this tenant; NULL = all
--
-- Columns (one row per scope, the most frequent first):
--   scope_name       VARCHAR  the instrumentation; NULL if it names itself nowhere
--   corrected        BIGINT   spans and log records whose cached tokens exceed the input they state
--   span_name        VARCHAR  the name of one of them, of a log record its event
WITH calls AS (
    SELECT scope_name, name, attributes, cache_read_tokens, cache_write_tokens
    FROM lake_spans
    WHERE start_time >= $since
      AND start_time < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
      AND (cache_read_tokens > 0 OR cache_write_tokens > 0)
    UNION ALL
    SELECT scope_name, event_name AS name, attributes, cache_read_tokens, cache_write_tokens
    FROM lake_logs
    WHERE time >= $since
      AND time < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
      AND (cache_read_tokens > 0 OR cache_write_tokens > 0)
)
SELECT scope_name, COUNT(*) AS corrected, MIN(name) AS span_name
FROM (
    SELECT
        scope_name, name,
        CAST(COALESCE(cache_read_tokens, 0) AS DOUBLE)
            + CAST(COALESCE(cache_write_tokens, 0) AS DOUBLE) AS cached,
        list_max(list_transform($input_names, lambda name: TRY_CAST(attributes[name] AS DOUBLE)))
            AS stated
    FROM calls
) AS counted
WHERE cached > stated
GROUP BY scope_name
ORDER BY corrected DESC, scope_name
