-- The traces of a tenant: those in which it is named, but not where another tenant is and it only by
-- hearsay.
--
-- Relations: lake_spans, lake_logs. Parameter: tenant. Columns: trace_id, and owner, the tenant where a
-- row names it itself: there it is also meant by what other rows have by hearsay.
WITH
named AS (
    SELECT trace_id, tenant_id, COALESCE(hearsay LIKE '%tenant_id%', FALSE) AS heard
    FROM lake_spans
    WHERE trace_id IS NOT NULL AND tenant_id IS NOT NULL
    UNION ALL
    SELECT trace_id, tenant_id, COALESCE(hearsay LIKE '%tenant_id%', FALSE) AS heard
    FROM lake_logs
    WHERE trace_id IS NOT NULL AND tenant_id IS NOT NULL
),
its AS (
    SELECT trace_id, MAX(CASE WHEN NOT heard THEN tenant_id END) AS owner
    FROM named
    WHERE tenant_id = $tenant
    GROUP BY trace_id
),
others AS (
    SELECT named.trace_id
    FROM named
    JOIN its ON its.trace_id = named.trace_id AND its.owner IS NULL
    WHERE NOT named.heard AND named.tenant_id <> $tenant
    GROUP BY named.trace_id
)
SELECT its.trace_id, its.owner
FROM its
ANTI JOIN others ON others.trace_id = its.trace_id
