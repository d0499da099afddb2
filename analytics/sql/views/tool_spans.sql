-- Step: every tool call once, with its run_key: from its span, else from its line.
CREATE OR REPLACE TEMP TABLE tool_spans AS
WITH
calls AS (
    SELECT
        trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name, node, start_time,
        duration_ms, tool_name, tool_call_id, outcome, status, error_class,
        error_message, attempt, idempotency_key
    FROM lake_spans
    WHERE span_class = 'tool'
    QUALIFY row_number() OVER (PARTITION BY trace_id, span_id ORDER BY received_at) = 1
)
SELECT
    CASE WHEN members.span_id IS NULL THEN calls.trace_id ELSE members.run_key END AS run_key,
    calls.span_id, calls.trace_id,
    CASE WHEN members.span_id IS NULL THEN identity.run_id ELSE members.run_id END AS run_id,
    COALESCE(ruled.thread_id, calls.thread_id, members.thread_id, identity.thread_id) AS thread_id,
    COALESCE(ruled.tenant_id, calls.tenant_id, members.tenant_id, identity.tenant_id) AS tenant_id,
    COALESCE(ruled.user_id, calls.user_id, members.user_id, identity.user_id) AS user_id,
    COALESCE(ruled.agent_name, calls.agent_name, members.agent_name, identity.agent_name)
        AS agent_name,
    calls.node, calls.start_time AS started_at,
    NULLIF(calls.duration_ms, 0) AS duration_ms, calls.tool_name,
    calls.tool_call_id,
    COALESCE(
        calls.outcome,
        CASE WHEN calls.status = 'error' THEN 'error' ELSE 'success' END
    ) AS outcome,
    calls.error_class, calls.error_message, calls.attempt, calls.idempotency_key
FROM calls
LEFT JOIN overruled AS ruled
    ON ruled.trace_id = calls.trace_id AND ruled.span_id = calls.span_id
LEFT JOIN run_members AS members
    ON members.trace_id = calls.trace_id AND members.span_id = calls.span_id
LEFT JOIN trace_identity AS identity
    ON identity.trace_id = calls.trace_id AND members.span_id IS NULL
UNION ALL
SELECT
    run_key, span_id, trace_id, run_id, thread_id, tenant_id, user_id, agent_name, node, started_at,
    duration_ms, tool_name, tool_call_id, outcome, error_class, error_message, attempt,
    idempotency_key
FROM line_calls
WHERE span_class = 'tool'
