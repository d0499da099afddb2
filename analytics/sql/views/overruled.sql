-- Step: spans whose hearsay a span says otherwise: what counts instead.
--
-- A span has its resource's tenant, say, and a span above it, or of its run, names the tenant itself:
-- that one is meant (trace_identity, run_members). NULL in a column that stands as it is.
CREATE OR REPLACE TEMP TABLE overruled AS
WITH
heard AS (
    SELECT
        spans.trace_id, spans.span_id, spans.hearsay,
        COALESCE(members.hearsay, identity.hearsay) AS also_heard,
        COALESCE(members.tenant_id, identity.tenant_id) AS tenant_id,
        COALESCE(members.user_id, identity.user_id) AS user_id,
        COALESCE(members.thread_id, identity.thread_id) AS thread_id,
        COALESCE(members.run_id, identity.run_id) AS run_id,
        COALESCE(members.agent_name, identity.agent_name) AS agent_name,
        COALESCE(members.feature, identity.feature) AS feature
    FROM span_facts AS spans
    LEFT JOIN run_members AS members
        ON members.trace_id = spans.trace_id AND members.span_id = spans.span_id
    LEFT JOIN trace_identity AS identity
        ON identity.trace_id = spans.trace_id AND members.span_id IS NULL
    WHERE spans.hearsay IS NOT NULL
),
named AS (
    SELECT
        trace_id, span_id,
        CASE
            WHEN hearsay LIKE '%tenant_id%' AND also_heard NOT LIKE '%tenant_id%' THEN tenant_id
        END AS tenant_id,
        CASE
            WHEN hearsay LIKE '%user_id%' AND also_heard NOT LIKE '%user_id%' THEN user_id
        END AS user_id,
        CASE
            WHEN hearsay LIKE '%thread_id%' AND also_heard NOT LIKE '%thread_id%' THEN thread_id
        END AS thread_id,
        CASE
            WHEN hearsay LIKE '%run_id%' AND also_heard NOT LIKE '%run_id%' THEN run_id
        END AS run_id,
        CASE
            WHEN hearsay LIKE '%agent_name%' AND also_heard NOT LIKE '%agent_name%' THEN agent_name
        END AS agent_name,
        CASE
            WHEN hearsay LIKE '%feature%' AND also_heard NOT LIKE '%feature%' THEN feature
        END AS feature
    FROM heard
)
SELECT
    trace_id, span_id,
    MIN(tenant_id) AS tenant_id,
    MIN(user_id) AS user_id,
    MIN(thread_id) AS thread_id,
    MIN(run_id) AS run_id,
    MIN(agent_name) AS agent_name,
    MIN(feature) AS feature
FROM named
WHERE COALESCE(tenant_id, user_id, thread_id, run_id, agent_name, feature) IS NOT NULL
GROUP BY trace_id, span_id
