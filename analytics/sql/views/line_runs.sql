-- Step: runs of agents that write a line per call but never a summary, such as Claude Code.
--
-- The calls that name the same run are one (Claude Code: a prompt, by its prompt.id); else those of a
-- trace, else of a thread (a session). Such a run lasts from its first call to the end of its last, has
-- no known first token, and ended as its last model call did. Where only some of its model calls name an
-- agent, that is one below: Claude Code names subagents alone.
--
-- A run without a summary whose agent (by service and name) does write them is not over, or was
-- killed; one of whose trace spans have come waits for its root. Neither is a run yet, its calls count.
CREATE OR REPLACE TEMP TABLE line_runs AS
WITH
lines AS (
    SELECT
        COALESCE(lines.run_id, lines.trace_id, lines.thread_id) AS run_key, lines.span_class,
        lines.trace_id, lines.run_id, lines.thread_id, lines.tenant_id, lines.user_id,
        lines.agent_name, lines.feature, lines.time AS ended_at,
        -- As in log_runs.
        CASE
            WHEN lines.duration_ms BETWEEN 0 AND 31536000000 THEN
                lines.time - INTERVAL '1' SECOND
                    * (GREATEST(LEAST(lines.duration_ms, 31536000000), 0) / 1000)
            ELSE lines.time
        END AS started_at,
        COALESCE(
            lines.outcome,
            CASE
                WHEN lines.error_class IS NULL AND lines.error_message IS NULL THEN 'success'
                ELSE 'error'
            END
        ) AS outcome,
        lines.outcome_reason, lines.error_class, lines.error_message
    FROM run_lines AS lines
    ANTI JOIN log_runs AS summing
        ON COALESCE(summing.service_name, '') = COALESCE(lines.service_name, '')
        AND COALESCE(summing.agent_name, '') = COALESCE(lines.agent_name, '')
    WHERE lines.span_class IN ('llm', 'tool')
),
calls AS (
    SELECT lines.*
    FROM lines
    ANTI JOIN log_runs AS named ON named.run_id = lines.run_id
    ANTI JOIN log_runs AS traced ON traced.trace_id = lines.trace_id
    ANTI JOIN (
        SELECT run_id
        FROM span_facts
        WHERE span_class = 'agent' AND run_id IN (SELECT run_id FROM lines)
        UNION ALL
        SELECT run_id FROM run_spans
    ) AS agents ON agents.run_id = lines.run_id
    ANTI JOIN (
        SELECT trace_id FROM span_facts WHERE trace_id IN (SELECT trace_id FROM lines)
    ) AS spans ON spans.trace_id = lines.trace_id
)
SELECT
    run_key,
    run_key AS run_id,
    MIN(trace_id) AS trace_id,
    MIN(thread_id) AS thread_id,
    MIN(tenant_id) AS tenant_id,
    MIN(user_id) AS user_id,
    CASE
        WHEN COUNT(agent_name) FILTER (WHERE span_class = 'llm') BETWEEN 1
            AND COUNT(*) FILTER (WHERE span_class = 'llm') - 1 THEN NULL
        ELSE MIN(agent_name)
    END AS agent_name,
    CASE
        WHEN COUNT(agent_name) FILTER (WHERE span_class = 'llm') BETWEEN 1
            AND COUNT(*) FILTER (WHERE span_class = 'llm') - 1 THEN MIN(feature)
        ELSE MIN(COALESCE(feature, agent_name))
    END AS feature,
    MIN(started_at) AS started_at,
    MAX(ended_at) AS ended_at,
    date_diff('microsecond', MIN(started_at), MAX(ended_at)) / 1000 AS duration_ms,
    max_by(outcome, ended_at) FILTER (WHERE span_class = 'llm') AS outcome,
    arg_max_null(outcome_reason, ended_at) FILTER (WHERE span_class = 'llm') AS outcome_reason,
    CASE
        WHEN max_by(outcome, ended_at) FILTER (WHERE span_class = 'llm') = 'error'
            THEN max_by(error_class, ended_at)
                FILTER (WHERE span_class = 'llm' AND error_class IS NOT NULL)
    END AS error_class,
    CASE
        WHEN max_by(outcome, ended_at) FILTER (WHERE span_class = 'llm') = 'error'
            THEN max_by(error_message, ended_at)
                FILTER (WHERE span_class = 'llm' AND error_message IS NOT NULL)
    END AS error_message
FROM calls
WHERE run_key IS NOT NULL
GROUP BY run_key
