-- Step: the lines that tell of agents, model and tool calls and nodes, each with the run it is of as far
-- as that is known: as it says itself, else by its thread (thread_runs).
--
--   by_thread  BOOLEAN  whether its run is known by its thread only
CREATE OR REPLACE TEMP VIEW run_lines AS
SELECT
    lines.log_id, lines.event_name, lines.span_class,
    COALESCE(lines.trace_id, threads.trace_id) AS trace_id,
    lines.span_id,
    CASE WHEN threads.log_id IS NULL THEN lines.run_id ELSE threads.run_id END AS run_id,
    threads.log_id IS NOT NULL AS by_thread,
    lines.thread_id, lines.tenant_id, lines.user_id, lines.agent_name, lines.feature, lines.node,
    lines.service_name, lines.time, lines.received_at, lines.operation, lines.duration_ms,
    lines.ttfb_ms, lines.provider, lines.request_model, lines.response_model, lines.response_id,
    lines.finish_reason, lines.input_tokens, lines.output_tokens, lines.cache_read_tokens,
    lines.cache_write_tokens, lines.reasoning_tokens, lines.tool_name, lines.tool_call_id,
    lines.outcome, lines.outcome_reason, lines.error_class, lines.error_message, lines.attempt,
    lines.idempotency_key, lines.llm_calls, lines.tool_calls, lines.tool_errors
FROM log_facts AS lines
LEFT JOIN thread_runs AS threads ON threads.log_id = lines.log_id
WHERE lines.span_class IN ('agent', 'llm', 'tool', 'node')
