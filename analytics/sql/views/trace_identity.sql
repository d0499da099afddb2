-- Step: who a trace was for, as far as any of its spans says; one row per trace.
--
-- Instrumentations put identity on some spans only (the HTTP root, the agent). A span that has none
-- takes its run's, which is, in a trace with one run, this: what the earliest agent span with a value
-- says, else the earliest span with a value. What spans only have from their resource, baggage or
-- metadata (hearsay) counts where no span says it itself, and so does what a tool says of itself, which
-- may be another's: a service that is called as a tool names whom it works for.
--
--   hearsay      VARCHAR  the columns of which no span but a tool says the value itself
--   agent_spans  BIGINT   how many agent spans it has, copies counted
--   call_spans   BIGINT   how many model and tool spans it has, copies counted
CREATE OR REPLACE TEMP TABLE trace_identity AS
WITH
told AS (
    SELECT
        trace_id, span_class, start_time,
        CASE WHEN silent OR hearsay LIKE '%tenant_id%' THEN NULL ELSE tenant_id END AS tenant_id,
        CASE WHEN silent OR hearsay LIKE '%user_id%' THEN NULL ELSE user_id END AS user_id,
        CASE WHEN silent OR hearsay LIKE '%thread_id%' THEN NULL ELSE thread_id END AS thread_id,
        CASE WHEN silent OR hearsay LIKE '%run_id%' THEN NULL ELSE run_id END AS run_id,
        CASE WHEN silent OR hearsay LIKE '%agent_name%' THEN NULL ELSE agent_name END AS agent_name,
        CASE WHEN silent OR hearsay LIKE '%feature%' THEN NULL ELSE feature END AS feature
    FROM (SELECT *, span_class = 'tool' AS silent FROM span_facts) AS spans
),
named AS (
    SELECT
        trace_id,
        COALESCE(
            min_by(tenant_id, start_time)
                FILTER (WHERE span_class = 'agent' AND tenant_id IS NOT NULL),
            min_by(tenant_id, start_time) FILTER (WHERE tenant_id IS NOT NULL)
        ) AS tenant_id,
        COALESCE(
            min_by(user_id, start_time) FILTER (WHERE span_class = 'agent' AND user_id IS NOT NULL),
            min_by(user_id, start_time) FILTER (WHERE user_id IS NOT NULL)
        ) AS user_id,
        COALESCE(
            min_by(thread_id, start_time)
                FILTER (WHERE span_class = 'agent' AND thread_id IS NOT NULL),
            min_by(thread_id, start_time) FILTER (WHERE thread_id IS NOT NULL)
        ) AS thread_id,
        COALESCE(
            min_by(run_id, start_time) FILTER (WHERE span_class = 'agent' AND run_id IS NOT NULL),
            min_by(run_id, start_time) FILTER (WHERE run_id IS NOT NULL)
        ) AS run_id,
        COALESCE(
            min_by(agent_name, start_time)
                FILTER (WHERE span_class = 'agent' AND agent_name IS NOT NULL),
            min_by(agent_name, start_time) FILTER (WHERE agent_name IS NOT NULL)
        ) AS agent_name,
        COALESCE(
            min_by(feature, start_time) FILTER (WHERE span_class = 'agent' AND feature IS NOT NULL),
            min_by(feature, start_time) FILTER (WHERE feature IS NOT NULL)
        ) AS feature,
        COUNT(*) FILTER (WHERE span_class = 'agent') AS agent_spans,
        COUNT(*) FILTER (WHERE span_class IN ('llm', 'tool')) AS call_spans
    FROM told
    GROUP BY trace_id
),
heard AS (
    SELECT
        trace_id,
        COALESCE(
            min_by(tenant_id, start_time)
                FILTER (WHERE span_class = 'agent' AND tenant_id IS NOT NULL),
            min_by(tenant_id, start_time) FILTER (WHERE tenant_id IS NOT NULL)
        ) AS tenant_id,
        COALESCE(
            min_by(user_id, start_time) FILTER (WHERE span_class = 'agent' AND user_id IS NOT NULL),
            min_by(user_id, start_time) FILTER (WHERE user_id IS NOT NULL)
        ) AS user_id,
        COALESCE(
            min_by(thread_id, start_time)
                FILTER (WHERE span_class = 'agent' AND thread_id IS NOT NULL),
            min_by(thread_id, start_time) FILTER (WHERE thread_id IS NOT NULL)
        ) AS thread_id,
        COALESCE(
            min_by(run_id, start_time) FILTER (WHERE span_class = 'agent' AND run_id IS NOT NULL),
            min_by(run_id, start_time) FILTER (WHERE run_id IS NOT NULL)
        ) AS run_id,
        COALESCE(
            min_by(agent_name, start_time)
                FILTER (WHERE span_class = 'agent' AND agent_name IS NOT NULL),
            min_by(agent_name, start_time) FILTER (WHERE agent_name IS NOT NULL)
        ) AS agent_name,
        COALESCE(
            min_by(feature, start_time) FILTER (WHERE span_class = 'agent' AND feature IS NOT NULL),
            min_by(feature, start_time) FILTER (WHERE feature IS NOT NULL)
        ) AS feature
    FROM span_facts
    WHERE hearsay IS NOT NULL OR span_class = 'tool'
    GROUP BY trace_id
)
SELECT
    named.trace_id,
    COALESCE(named.tenant_id, heard.tenant_id) AS tenant_id,
    COALESCE(named.user_id, heard.user_id) AS user_id,
    COALESCE(named.thread_id, heard.thread_id) AS thread_id,
    COALESCE(named.run_id, heard.run_id, named.trace_id) AS run_id,
    COALESCE(named.agent_name, heard.agent_name) AS agent_name,
    COALESCE(named.feature, heard.feature) AS feature,
    CASE WHEN named.tenant_id IS NULL AND heard.tenant_id IS NOT NULL THEN 'tenant_id,' ELSE '' END
    || CASE WHEN named.user_id IS NULL AND heard.user_id IS NOT NULL THEN 'user_id,' ELSE '' END
    || CASE
        WHEN named.thread_id IS NULL AND heard.thread_id IS NOT NULL THEN 'thread_id,'
        ELSE ''
    END
    || CASE WHEN named.run_id IS NULL AND heard.run_id IS NOT NULL THEN 'run_id,' ELSE '' END
    || CASE
        WHEN named.agent_name IS NULL AND heard.agent_name IS NOT NULL THEN 'agent_name,'
        ELSE ''
    END
    || CASE
        WHEN named.feature IS NULL AND heard.feature IS NOT NULL THEN 'feature,'
        ELSE ''
    END AS hearsay,
    named.agent_spans, named.call_spans
FROM named
LEFT JOIN heard ON heard.trace_id = named.trace_id
