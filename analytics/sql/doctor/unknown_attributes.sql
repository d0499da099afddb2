-- Which attributes look like agent telemetry and are known to nobody?
--
-- A new convention shows here first. Names only, never a value: it may be content.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  spans with since <= start_time < until; a million at most
--   $prefixes        VARCHAR[]    what the names of agent telemetry begin with, e.g. ['gen_ai.']
--   $known           VARCHAR      regular expression of the whole names that are known
--   $tenant          VARCHAR      only this tenant; NULL = all
--
-- Columns (one row per name and scope, the most frequent first):
--   attribute        VARCHAR  the name
--   scope_name       VARCHAR  the instrumentation that sends it; NULL if it names itself nowhere
--   spans            BIGINT   spans that have it
--   span_name        VARCHAR  the name of one of them
WITH seen AS (
    SELECT start_time, scope_name, name, map_keys(attributes) AS keys
    FROM lake_spans
    WHERE start_time >= $since
      AND start_time < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
    LIMIT 1_000_000
),
-- Spans of one kind have the same keys in the same order: few lists are looked into.
kinds AS (
    SELECT scope_name, keys, COUNT(*) AS spans, MIN(name) AS span_name
    FROM seen
    GROUP BY scope_name, keys
),
named AS (
    SELECT scope_name, spans, span_name, unnest(keys) AS attribute
    FROM kinds
)
SELECT attribute, scope_name, CAST(SUM(spans) AS BIGINT) AS spans, MIN(span_name) AS span_name
FROM named
WHERE list_bool_or(list_transform($prefixes, lambda prefix: starts_with(attribute, prefix)))
  AND NOT regexp_full_match(attribute, $known)
GROUP BY attribute, scope_name
ORDER BY spans DESC, attribute, scope_name
