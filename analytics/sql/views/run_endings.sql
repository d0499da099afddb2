-- Step: every agent request once, with how it went, but not what it used: `runs` without usage and
-- cost, which take far longer to work out.
--
-- A run is the outermost agent span of a trace (see run_spans), or known from its lines alone (see
-- log_only_runs). line_* is what its summary line says of its calls.
CREATE OR REPLACE TEMP TABLE run_endings AS
SELECT
    runs.run_key, runs.run_id, runs.trace_id, runs.thread_id, runs.tenant_id, runs.user_id,
    runs.agent_name, runs.feature, runs.started_at, runs.ended_at, runs.duration_ms,
    COALESCE(runs.ttfb_ms, line.ttfb_ms, trace_line.ttfb_ms) AS ttfb_ms,
    runs.outcome,
    COALESCE(runs.outcome_reason, line.outcome_reason, trace_line.outcome_reason)
        AS outcome_reason,
    runs.error_class, runs.error_message,
    NULL AS line_llm_calls,
    NULL AS line_tool_calls,
    NULL AS line_tool_errors,
    'spans' AS source
FROM run_spans AS runs
LEFT JOIN log_runs AS line ON line.run_id = runs.run_id
LEFT JOIN log_runs AS trace_line
    ON trace_line.run_key = runs.run_key AND trace_line.run_id IS NULL
UNION ALL
SELECT
    run_key, COALESCE(run_id, run_key) AS run_id, trace_id, thread_id, tenant_id, user_id,
    agent_name, feature, started_at, ended_at, duration_ms, ttfb_ms, outcome, outcome_reason,
    error_class, error_message,
    llm_calls AS line_llm_calls,
    tool_calls AS line_tool_calls,
    tool_errors AS line_tool_errors,
    'logs' AS source
FROM log_only_runs
