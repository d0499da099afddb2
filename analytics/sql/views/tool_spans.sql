-- Step: every tool call once, with its run.
CREATE OR REPLACE VIEW tool_spans AS
WITH
calls AS (
    SELECT
        trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name, node, start_time,
        end_time, duration_ms, tool_name, tool_call_id, outcome, status, error_class,
        error_message, attempt, idempotency_key
    FROM lake_spans
    WHERE span_class = 'tool'
    QUALIFY row_number() OVER (
        PARTITION BY trace_id, span_id ORDER BY received_at, end_time
    ) = 1
),
keyed AS (
    SELECT calls.*, COALESCE(members.run_key, calls.trace_id) AS run_key
    FROM calls
    LEFT JOIN run_members AS members
        ON members.trace_id = calls.trace_id AND members.span_id = calls.span_id
)
SELECT
    keyed.run_key, keyed.span_id, keyed.trace_id,
    COALESCE(runs.run_id, keyed.run_id, identity.run_id) AS run_id,
    COALESCE(keyed.thread_id, runs.thread_id, identity.thread_id) AS thread_id,
    COALESCE(keyed.tenant_id, runs.tenant_id, identity.tenant_id) AS tenant_id,
    COALESCE(keyed.user_id, runs.user_id, identity.user_id) AS user_id,
    COALESCE(keyed.agent_name, runs.agent_name, identity.agent_name) AS agent_name,
    keyed.node, keyed.start_time AS started_at, keyed.end_time AS ended_at, keyed.duration_ms,
    keyed.tool_name, keyed.tool_call_id,
    COALESCE(
        keyed.outcome,
        CASE WHEN keyed.status = 'error' THEN 'error' ELSE 'success' END
    ) AS outcome,
    keyed.error_class, keyed.error_message, keyed.attempt, keyed.idempotency_key
FROM keyed
LEFT JOIN run_spans AS runs ON runs.run_key = keyed.run_key
LEFT JOIN trace_identity AS identity ON identity.trace_id = keyed.trace_id
