-- Every tool call once, however many spans tell of it. Each try is a row, but those inside of one call.
-- Times in UTC, duration in ms; outcome is success, error or interrupt.
CREATE OR REPLACE TEMP VIEW tool_calls AS
SELECT
    span_id, trace_id, run_id, thread_id, tenant_id, user_id, agent_name, node, started_at,
    duration_ms, tool_name, tool_call_id, outcome, error_class, error_message, attempt,
    idempotency_key
FROM tool_spans
