-- Every execution of a graph node once: from its span, or, in a trace that left no node spans, from
-- its log line (span_class node, such as `agent.node`).
--
-- Times in UTC, duration in ms; outcome is success, error or interrupt; source is spans or logs.
CREATE OR REPLACE TEMP VIEW nodes AS
WITH
executions AS (
    SELECT
        trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name,
        COALESCE(node, name) AS node, start_time AS started_at, duration_ms,
        COALESCE(outcome, CASE WHEN status = 'error' THEN 'error' ELSE 'success' END) AS outcome,
        error_class, error_message
    FROM span_facts
    WHERE span_class = 'node'
    QUALIFY row_number() OVER (PARTITION BY trace_id, span_id ORDER BY received_at) = 1
),
lines AS (
    SELECT
        trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name, node,
        -- As in log_runs.
        CASE
            WHEN duration_ms BETWEEN 0 AND 31536000000 THEN
                time - INTERVAL '1' SECOND * (GREATEST(LEAST(duration_ms, 31536000000), 0) / 1000)
            ELSE time
        END AS started_at,
        duration_ms, outcome, error_class, error_message
    FROM run_lines
    WHERE span_class = 'node'
    QUALIFY row_number() OVER (PARTITION BY log_id ORDER BY received_at) = 1
)
SELECT
    executions.span_id, executions.trace_id,
    CASE WHEN members.span_id IS NULL THEN identity.run_id ELSE members.run_id END AS run_id,
    COALESCE(
        ruled.thread_id, executions.thread_id, members.thread_id, identity.thread_id, line.thread_id
    ) AS thread_id,
    COALESCE(
        ruled.tenant_id, executions.tenant_id, members.tenant_id, identity.tenant_id, line.tenant_id
    ) AS tenant_id,
    COALESCE(
        ruled.user_id, executions.user_id, members.user_id, identity.user_id, line.user_id
    ) AS user_id,
    COALESCE(
        ruled.agent_name, executions.agent_name, members.agent_name, identity.agent_name, line.agent_name
    ) AS agent_name,
    executions.node, executions.started_at,
    NULLIF(executions.duration_ms, 0) AS duration_ms, executions.outcome,
    executions.error_class, executions.error_message, 'spans' AS source
FROM executions
LEFT JOIN overruled AS ruled
    ON ruled.trace_id = executions.trace_id AND ruled.span_id = executions.span_id
LEFT JOIN run_members AS members
    ON members.trace_id = executions.trace_id AND members.span_id = executions.span_id
LEFT JOIN trace_identity AS identity
    ON identity.trace_id = executions.trace_id AND members.span_id IS NULL
LEFT JOIN run_summaries AS line
    ON line.run_key
        = CASE WHEN members.span_id IS NULL THEN executions.trace_id ELSE members.run_key END
UNION ALL
SELECT
    lines.span_id, lines.trace_id, lines.run_id, lines.thread_id, lines.tenant_id, lines.user_id,
    lines.agent_name, lines.node, lines.started_at, lines.duration_ms, lines.outcome,
    lines.error_class, lines.error_message, 'logs' AS source
FROM lines
ANTI JOIN executions ON executions.trace_id = lines.trace_id
