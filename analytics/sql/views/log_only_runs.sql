-- Step: runs known from their lines alone; a run that left spans is counted by its spans.
--
-- Model and tool calls that did leave spans (the run's own span was lost) belong to it by its trace.
-- Runs without a summary line are line_runs.
CREATE OR REPLACE TEMP TABLE log_only_runs AS
SELECT
    CASE
        WHEN COUNT(*) OVER (PARTITION BY log_runs.trace_id) = 1
            THEN COALESCE(log_runs.trace_id, log_runs.run_key)
        ELSE log_runs.run_key
    END AS run_key,
    run_id, trace_id, span_id, thread_id, tenant_id, user_id, agent_name, feature, started_at,
    ended_at, duration_ms, ttfb_ms, outcome, outcome_reason, error_class, error_message, provider,
    request_model, response_model, input_tokens, output_tokens, cache_read_tokens,
    cache_write_tokens, reasoning_tokens, llm_calls, tool_calls, tool_errors
FROM log_runs
ANTI JOIN (
    SELECT run_id FROM span_facts WHERE span_class = 'agent'
    UNION ALL
    SELECT run_id FROM run_spans
) AS agents ON agents.run_id = log_runs.run_id
ANTI JOIN (
    SELECT trace_id FROM span_facts WHERE span_class = 'agent'
    UNION ALL
    SELECT trace_id FROM agentless_roots
) AS traces ON traces.trace_id = log_runs.trace_id
UNION ALL
SELECT
    run_key, run_id, trace_id, NULL AS span_id, thread_id, tenant_id, user_id, agent_name, feature,
    started_at, ended_at, duration_ms, NULL AS ttfb_ms, outcome, outcome_reason,
    error_class, error_message, NULL AS provider, NULL AS request_model, NULL AS response_model,
    NULL AS input_tokens, NULL AS output_tokens, NULL AS cache_read_tokens,
    NULL AS cache_write_tokens, NULL AS reasoning_tokens, NULL AS llm_calls, NULL AS tool_calls,
    NULL AS tool_errors
FROM line_runs
