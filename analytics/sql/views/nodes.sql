-- Every execution of a graph node once: from its span, or, in a trace that left no node spans, from
-- its log line (event `agent.node`).
--
-- Times in UTC, duration in ms; outcome is success, error or interrupt; source is spans or logs.
CREATE OR REPLACE VIEW nodes AS
WITH
executions AS (
    SELECT
        trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name,
        COALESCE(node, name) AS node, start_time AS started_at, duration_ms,
        COALESCE(outcome, CASE WHEN status = 'error' THEN 'error' ELSE 'success' END) AS outcome,
        error_class, error_message
    FROM lake_spans
    WHERE span_class = 'node'
    QUALIFY row_number() OVER (
        PARTITION BY trace_id, span_id ORDER BY received_at, end_time
    ) = 1
),
lines AS (
    SELECT
        trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name, node,
        time - CAST(COALESCE(duration_ms, 0) * 1000 AS BIGINT) * INTERVAL 1 MICROSECOND
            AS started_at,
        duration_ms, outcome, error_class, error_message
    FROM lake_logs
    WHERE event_name = 'agent.node'
    QUALIFY row_number() OVER (PARTITION BY log_id ORDER BY received_at) = 1
),
keyed AS (
    SELECT executions.*, COALESCE(members.run_key, executions.trace_id) AS run_key
    FROM executions
    LEFT JOIN run_members AS members
        ON members.trace_id = executions.trace_id AND members.span_id = executions.span_id
)
SELECT
    keyed.span_id, keyed.trace_id,
    COALESCE(runs.run_id, keyed.run_id, identity.run_id) AS run_id,
    COALESCE(keyed.thread_id, runs.thread_id, identity.thread_id) AS thread_id,
    COALESCE(keyed.tenant_id, runs.tenant_id, identity.tenant_id) AS tenant_id,
    COALESCE(keyed.user_id, runs.user_id, identity.user_id) AS user_id,
    COALESCE(keyed.agent_name, runs.agent_name, identity.agent_name) AS agent_name,
    keyed.node, keyed.started_at, keyed.duration_ms, keyed.outcome, keyed.error_class,
    keyed.error_message, 'spans' AS source
FROM keyed
LEFT JOIN run_spans AS runs ON runs.run_key = keyed.run_key
LEFT JOIN trace_identity AS identity ON identity.trace_id = keyed.trace_id
UNION ALL
SELECT
    lines.span_id, lines.trace_id, lines.run_id, lines.thread_id, lines.tenant_id, lines.user_id,
    lines.agent_name, lines.node, lines.started_at, lines.duration_ms, lines.outcome,
    lines.error_class, lines.error_message, 'logs' AS source
FROM lines
ANTI JOIN executions ON executions.trace_id = lines.trace_id
