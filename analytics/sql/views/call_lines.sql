-- Step: the line of every model and tool call (span_class llm or tool) whose span did not come, once.
--
-- A line that came twice, or on two ways (OTLP and a log file), has the same time and says the same;
-- one that names neither trace, run, response nor tool call is known again by its log_id. Of two lines
-- with the same response the earlier stands, by the rule of retold_calls.
CREATE OR REPLACE TEMP TABLE call_lines AS
WITH
without_span AS (
    SELECT lines.*
    FROM run_lines AS lines
    ANTI JOIN (
        SELECT trace_id, span_id, span_class FROM span_facts WHERE span_class IN ('llm', 'tool')
    ) AS spans
        ON spans.trace_id = lines.trace_id AND spans.span_id = lines.span_id
        AND spans.span_class = lines.span_class
    WHERE lines.span_class IN ('llm', 'tool')
),
said AS (
    SELECT
        log_id, span_class, trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name,
        feature, node,
        -- As in log_runs.
        CASE
            WHEN duration_ms BETWEEN 0 AND 31536000000 THEN
                time - INTERVAL '1' SECOND * (GREATEST(LEAST(duration_ms, 31536000000), 0) / 1000)
            ELSE time
        END AS started_at,
        time AS ended_at, duration_ms, ttfb_ms, provider, request_model, response_model,
        response_id, finish_reason, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, tool_name, tool_call_id,
        COALESCE(
            outcome,
            CASE
                WHEN error_class IS NULL AND error_message IS NULL THEN 'success' ELSE 'error'
            END
        ) AS outcome,
        outcome_reason, error_class, error_message, attempt, idempotency_key,
        COALESCE(LOWER(operation) LIKE '%embed%', FALSE) AS embeds
    FROM without_span
    QUALIFY row_number() OVER (
        PARTITION BY
            span_class, time, trace_id, span_id, run_id, response_id, tool_call_id, attempt,
            CASE
                WHEN COALESCE(response_id, tool_call_id) IS NULL
                    AND (by_thread OR COALESCE(trace_id, run_id) IS NULL) THEN log_id
            END
        ORDER BY received_at, log_id
    ) = 1
)
SELECT *
FROM said
QUALIFY COALESCE(
    started_at - lag(started_at) OVER (
        PARTITION BY
            span_class, response_id, output_tokens,
            CASE WHEN response_id IS NULL OR output_tokens IS NULL THEN log_id END
        ORDER BY started_at, log_id
    ) > INTERVAL '1' MINUTE,
    TRUE
)
