-- Step: every tool call once, with its run_key: from its span, else from its line.
--
-- Of a call that left several spans (merged_tools) the outermost is the call. It failed if that says so,
-- or if another does, which executed it, and none that began after its end went well: a try that was
-- made good is no failure.
CREATE OR REPLACE TEMP TABLE tool_spans AS
WITH
copies AS (
    SELECT
        spans.trace_id, spans.span_id, spans.run_id, spans.thread_id, spans.tenant_id,
        spans.user_id, spans.agent_name, spans.node, spans.start_time, spans.end_time,
        spans.duration_ms, spans.tool_name, spans.tool_call_id,
        COALESCE(
            endings.outcome, spans.outcome,
            CASE WHEN spans.status = 'error' THEN 'error' ELSE 'success' END
        ) AS outcome,
        COALESCE(spans.error_class, endings.error_class) AS error_class,
        COALESCE(spans.error_message, endings.error_message) AS error_message,
        spans.attempt, spans.idempotency_key
    FROM span_facts AS spans
    LEFT JOIN told_endings AS endings
        ON endings.trace_id = spans.trace_id AND endings.span_id = spans.span_id
    WHERE spans.span_class = 'tool'
    QUALIFY row_number() OVER (
        PARTITION BY spans.trace_id, spans.span_id ORDER BY spans.received_at
    ) = 1
),
others AS (
    SELECT
        merged.leader_id, copies.trace_id, copies.node, copies.tool_name, copies.tool_call_id,
        copies.idempotency_key, copies.end_time, copies.outcome, copies.error_class,
        copies.error_message,
        copies.outcome <> 'success' AND COALESCE(
            copies.end_time > MAX(CASE WHEN copies.outcome = 'success' THEN copies.start_time END)
                OVER (PARTITION BY merged.trace_id, merged.leader_id),
            TRUE
        ) AS fails
    FROM copies
    JOIN merged_tools AS merged
        ON merged.trace_id = copies.trace_id AND merged.span_id = copies.span_id
),
told AS (
    SELECT
        trace_id, leader_id,
        max_by(outcome, end_time) FILTER (WHERE fails) AS outcome,
        max_by(error_class, end_time) FILTER (WHERE fails) AS error_class,
        max_by(error_message, end_time) FILTER (WHERE fails) AS error_message,
        MIN(node) AS node,
        MIN(tool_name) AS tool_name,
        MIN(tool_call_id) AS tool_call_id,
        MIN(idempotency_key) AS idempotency_key
    FROM others
    GROUP BY trace_id, leader_id
),
calls AS (
    SELECT
        copies.trace_id, copies.span_id, copies.thread_id, copies.tenant_id, copies.user_id,
        copies.agent_name, copies.start_time, copies.duration_ms, copies.attempt,
        COALESCE(copies.node, told.node) AS node,
        COALESCE(copies.tool_name, told.tool_name) AS tool_name,
        COALESCE(copies.tool_call_id, told.tool_call_id) AS tool_call_id,
        COALESCE(copies.idempotency_key, told.idempotency_key) AS idempotency_key,
        CASE
            WHEN copies.outcome = 'success' THEN COALESCE(told.outcome, 'success')
            ELSE copies.outcome
        END AS outcome,
        COALESCE(copies.error_class, told.error_class) AS error_class,
        COALESCE(copies.error_message, told.error_message) AS error_message
    FROM copies
    ANTI JOIN merged_tools AS merged
        ON merged.trace_id = copies.trace_id AND merged.span_id = copies.span_id
    LEFT JOIN told
        ON told.trace_id = copies.trace_id AND told.leader_id = copies.span_id
)
SELECT
    CASE WHEN members.span_id IS NULL THEN calls.trace_id ELSE members.run_key END AS run_key,
    calls.span_id, calls.trace_id,
    CASE WHEN members.span_id IS NULL THEN identity.run_id ELSE members.run_id END AS run_id,
    COALESCE(
        ruled.thread_id, calls.thread_id, members.thread_id, identity.thread_id, line.thread_id
    ) AS thread_id,
    COALESCE(
        ruled.tenant_id, calls.tenant_id, members.tenant_id, identity.tenant_id, line.tenant_id
    ) AS tenant_id,
    COALESCE(
        ruled.user_id, calls.user_id, members.user_id, identity.user_id, line.user_id
    ) AS user_id,
    COALESCE(
        ruled.agent_name, calls.agent_name, members.agent_name, identity.agent_name, line.agent_name
    ) AS agent_name,
    calls.node, calls.start_time AS started_at,
    NULLIF(calls.duration_ms, 0) AS duration_ms, calls.tool_name,
    calls.tool_call_id, calls.outcome,
    calls.error_class, calls.error_message, calls.attempt, calls.idempotency_key
FROM calls
LEFT JOIN overruled AS ruled
    ON ruled.trace_id = calls.trace_id AND ruled.span_id = calls.span_id
LEFT JOIN run_members AS members
    ON members.trace_id = calls.trace_id AND members.span_id = calls.span_id
LEFT JOIN trace_identity AS identity
    ON identity.trace_id = calls.trace_id AND members.span_id IS NULL
LEFT JOIN run_summaries AS line
    ON line.run_key
        = CASE WHEN members.span_id IS NULL THEN calls.trace_id ELSE members.run_key END
UNION ALL
SELECT
    run_key, span_id, trace_id, run_id, thread_id, tenant_id, user_id, agent_name, node, started_at,
    duration_ms, tool_name, tool_call_id, outcome, error_class, error_message, attempt,
    idempotency_key
FROM line_calls
WHERE span_class = 'tool'
