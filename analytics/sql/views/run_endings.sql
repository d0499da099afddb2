-- Step: every agent request once, with how it went, but not what it used: `runs` without usage and
-- cost, which take far longer to work out.
--
-- A run is the outermost agent span of a trace (see run_spans), or known from its lines alone (see
-- log_only_runs). line_* is what its summary line says of its calls.
--
-- Of a run that left spans the line says (run_summaries) what they do not: whose it was, and how it
-- ended, outcome and reason together, or the reason alone where both name the same outcome.
CREATE OR REPLACE TEMP TABLE run_endings AS
SELECT
    runs.run_key, runs.run_id, runs.trace_id,
    COALESCE(runs.thread_id, line.thread_id) AS thread_id,
    COALESCE(runs.tenant_id, line.tenant_id) AS tenant_id,
    COALESCE(runs.user_id, line.user_id) AS user_id,
    COALESCE(runs.agent_name, line.agent_name) AS agent_name,
    COALESCE(runs.feature, line.feature) AS feature,
    runs.started_at, runs.ended_at, runs.duration_ms,
    COALESCE(runs.ttfb_ms, line.ttfb_ms) AS ttfb_ms,
    CASE WHEN runs.told THEN runs.outcome ELSE COALESCE(line.outcome, runs.outcome) END AS outcome,
    CASE
        WHEN NOT runs.told AND line.outcome IS NOT NULL THEN line.outcome_reason
        WHEN line.outcome = runs.outcome
            THEN COALESCE(runs.outcome_reason, line.outcome_reason)
        ELSE runs.outcome_reason
    END AS outcome_reason,
    COALESCE(runs.error_class, CASE WHEN NOT runs.told THEN line.error_class END) AS error_class,
    COALESCE(runs.error_message, CASE WHEN NOT runs.told THEN line.error_message END)
        AS error_message,
    CASE WHEN line.sums THEN line.llm_calls END AS line_llm_calls,
    NULL AS line_tool_calls,
    NULL AS line_tool_errors,
    'spans' AS source
FROM run_spans AS runs
LEFT JOIN run_summaries AS line ON line.run_key = runs.run_key
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
