-- Step: the span that is a run, one row per agent request that left spans.
--
-- A run is the outermost agent span of a trace (outermost_agents, where there is a choice), or the
-- root of a trace without an agent span (agentless_roots).
--
-- run_key joins a run to what belongs to it: the trace_id, or trace_id/span_id where a trace has
-- several runs (run_members).
CREATE OR REPLACE TEMP TABLE run_spans AS
WITH
chosen AS (
    SELECT trace_id, span_id, runs_of_trace FROM outermost_agents
    UNION ALL
    SELECT trace_id, span_id, 1 AS runs_of_trace FROM agentless_roots
),
candidates AS (
    SELECT
        1 AS runs_of_trace, trace_id, span_id, span_class, run_id, thread_id, tenant_id, user_id,
        agent_name, feature, start_time, end_time, duration_ms, ttfb_ms, status, outcome,
        outcome_reason, error_class, error_message
    FROM lake_spans AS spans
    ANTI JOIN outermost_agents AS crowded ON crowded.trace_id = spans.trace_id
    WHERE span_class = 'agent'
    UNION ALL
    SELECT
        chosen.runs_of_trace, spans.trace_id, spans.span_id, spans.span_class, spans.run_id,
        spans.thread_id, spans.tenant_id, spans.user_id, spans.agent_name, spans.feature,
        spans.start_time, spans.end_time, spans.duration_ms, spans.ttfb_ms, spans.status,
        spans.outcome, spans.outcome_reason, spans.error_class, spans.error_message
    FROM lake_spans AS spans
    JOIN chosen ON chosen.trace_id = spans.trace_id AND chosen.span_id = spans.span_id
),
-- The copies of a span sent twice are alike.
single AS (
    SELECT
        trace_id, span_id,
        MIN(runs_of_trace) AS runs_of_trace,
        MIN(span_class) AS span_class,
        MIN(run_id) AS run_id,
        MIN(thread_id) AS thread_id,
        MIN(tenant_id) AS tenant_id,
        MIN(user_id) AS user_id,
        MIN(agent_name) AS agent_name,
        MIN(feature) AS feature,
        MIN(start_time) AS start_time,
        MIN(end_time) AS end_time,
        MIN(duration_ms) AS duration_ms,
        MIN(ttfb_ms) AS ttfb_ms,
        MIN(status) AS status,
        MIN(outcome) AS outcome,
        MIN(outcome_reason) AS outcome_reason,
        MIN(error_class) AS error_class,
        MIN(error_message) AS error_message
    FROM candidates
    GROUP BY trace_id, span_id
)
SELECT
    CASE
        WHEN single.runs_of_trace > 1 THEN single.trace_id || '/' || single.span_id
        ELSE single.trace_id
    END AS run_key,
    single.trace_id,
    single.span_id,
    COALESCE(
        single.run_id,
        CASE WHEN single.runs_of_trace > 1 THEN single.trace_id || '/' || single.span_id END,
        identity.run_id
    ) AS run_id,
    COALESCE(single.thread_id, identity.thread_id) AS thread_id,
    COALESCE(single.tenant_id, identity.tenant_id) AS tenant_id,
    COALESCE(single.user_id, identity.user_id) AS user_id,
    COALESCE(single.agent_name, identity.agent_name) AS agent_name,
    COALESCE(single.feature, identity.feature, single.agent_name, identity.agent_name) AS feature,
    single.start_time AS started_at,
    single.end_time AS ended_at,
    single.duration_ms,
    -- A model call that is its own root has a first chunk, but no first token sent to a user.
    CASE WHEN single.span_class <> 'llm' THEN single.ttfb_ms END AS ttfb_ms,
    COALESCE(
        single.outcome,
        CASE WHEN single.status = 'error' THEN 'error' ELSE 'success' END
    ) AS outcome,
    single.outcome_reason,
    single.error_class,
    single.error_message
FROM single
LEFT JOIN trace_identity AS identity ON identity.trace_id = single.trace_id
