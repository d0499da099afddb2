-- The traces in which a tenant is named.
--
-- Relations: lake_spans, lake_logs. Parameter: tenant. Column: trace_id.
SELECT trace_id
FROM lake_spans
WHERE tenant_id = $tenant AND trace_id IS NOT NULL
UNION
SELECT trace_id
FROM lake_logs
WHERE tenant_id = $tenant AND trace_id IS NOT NULL
