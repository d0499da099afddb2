-- Which attributes look like agent telemetry and are known to nobody?
--
-- A new convention shows here first, wherever it stands. Names only, never a value: it may be
-- content.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  since <= time < until; a million spans, log records and data points
--                                 each at most
--   $prefixes        VARCHAR[]    what the names of agent telemetry begin with, e.g. ['gen_ai.']
--   $known           VARCHAR      regular expression of the whole names that are known
--   $tenant          VARCHAR      only this tenant; NULL = all
--
-- Columns (one row per name, place and scope, the most frequent first):
--   attribute        VARCHAR  the name
--   place            VARCHAR  span, span event, log record, log body, data point or resource
--   scope_name       VARCHAR  the instrumentation that sends it; NULL if it names itself nowhere,
--                             and of a resource
--   records          BIGINT   spans, events, log records and data points that have it
--   example          VARCHAR  the name of one of them, of a point the metric, of a resource the service
WITH spans_seen AS (
    SELECT scope_name, name, service_name, attributes, resource_attributes, events
    FROM lake_spans
    WHERE start_time >= $since
      AND start_time < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
    LIMIT 1_000_000
),
logs_seen AS (
    SELECT scope_name, event_name, service_name, attributes, resource_attributes, body
    FROM lake_logs
    WHERE time >= $since
      AND time < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
    LIMIT 1_000_000
),
points_seen AS (
    SELECT scope_name, name, service_name, attributes, resource_attributes
    FROM lake_metrics
    WHERE time >= $since
      AND time < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
    LIMIT 1_000_000
),
places AS (
    SELECT 'span' AS place, scope_name, name AS example, map_keys(attributes) AS keys
    FROM spans_seen
    UNION ALL
    SELECT 'span event', scope_name, event.name, map_keys(event.attributes)
    FROM (SELECT scope_name, unnest(events) AS event FROM spans_seen) AS each_event
    UNION ALL
    SELECT 'log record', scope_name, event_name, map_keys(attributes)
    FROM logs_seen
    UNION ALL
    SELECT 'log body', scope_name, event_name, CASE WHEN json_valid(body) THEN json_keys(body) END
    FROM logs_seen
    WHERE starts_with(body, '{')
    UNION ALL
    SELECT 'data point', scope_name, name, map_keys(attributes)
    FROM points_seen
    UNION ALL
    SELECT 'resource', NULL, service_name, map_keys(resource_attributes)
    FROM (
        SELECT service_name, resource_attributes FROM spans_seen
        UNION ALL
        SELECT service_name, resource_attributes FROM logs_seen
        UNION ALL
        SELECT service_name, resource_attributes FROM points_seen
    ) AS resources
),
-- Records of one kind have the same keys in the same order: few lists are looked into.
kinds AS (
    SELECT place, scope_name, keys, COUNT(*) AS records, MIN(example) AS example
    FROM places
    GROUP BY place, scope_name, keys
),
named AS (
    SELECT place, scope_name, records, example, unnest(keys) AS attribute
    FROM kinds
)
SELECT
    attribute, place, scope_name, CAST(SUM(records) AS BIGINT) AS records, MIN(example) AS example
FROM named
WHERE list_bool_or(list_transform($prefixes, lambda prefix: starts_with(attribute, prefix)))
  AND NOT regexp_full_match(attribute, $known)
GROUP BY attribute, place, scope_name
ORDER BY records DESC, attribute, place, scope_name
