-- Step: who a trace was for, as far as any of its spans says; one row per trace.
--
-- Instrumentations put identity on some spans only (the HTTP root, the agent). A span that has none
-- takes its run's, which is, in a trace with one run, this: what the earliest agent span with a value
-- says, else the earliest span with a value.
--
--   agent_spans  BIGINT  how many agent spans it has, copies counted
--   call_spans   BIGINT  how many model and tool spans it has, copies counted
CREATE OR REPLACE TEMP TABLE trace_identity AS
SELECT
    trace_id,
    COALESCE(
        min_by(tenant_id, start_time) FILTER (WHERE span_class = 'agent' AND tenant_id IS NOT NULL),
        min_by(tenant_id, start_time) FILTER (WHERE tenant_id IS NOT NULL)
    ) AS tenant_id,
    COALESCE(
        min_by(user_id, start_time) FILTER (WHERE span_class = 'agent' AND user_id IS NOT NULL),
        min_by(user_id, start_time) FILTER (WHERE user_id IS NOT NULL)
    ) AS user_id,
    COALESCE(
        min_by(thread_id, start_time) FILTER (WHERE span_class = 'agent' AND thread_id IS NOT NULL),
        min_by(thread_id, start_time) FILTER (WHERE thread_id IS NOT NULL)
    ) AS thread_id,
    COALESCE(
        min_by(run_id, start_time) FILTER (WHERE span_class = 'agent' AND run_id IS NOT NULL),
        min_by(run_id, start_time) FILTER (WHERE run_id IS NOT NULL),
        trace_id
    ) AS run_id,
    COALESCE(
        min_by(agent_name, start_time) FILTER (WHERE span_class = 'agent' AND agent_name IS NOT NULL),
        min_by(agent_name, start_time) FILTER (WHERE agent_name IS NOT NULL)
    ) AS agent_name,
    COALESCE(
        min_by(feature, start_time) FILTER (WHERE span_class = 'agent' AND feature IS NOT NULL),
        min_by(feature, start_time) FILTER (WHERE feature IS NOT NULL)
    ) AS feature,
    COUNT(*) FILTER (WHERE span_class = 'agent') AS agent_spans,
    COUNT(*) FILTER (WHERE span_class IN ('llm', 'tool')) AS call_spans
FROM lake_spans
GROUP BY trace_id
