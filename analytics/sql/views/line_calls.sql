-- Step: model and tool calls that no span reports, from their lines, with run_key and identity.
--
-- A line is a call that a span reports if it names that span, or its response; a short id, which is one
-- of a small pool (repeated_calls), says so within a trace only. The call's own span
-- may have been lost: the line names a span of a known trace that never came. A line that names no
-- span, or one that is no call (the node it was written in), counts where its run left no such calls.
-- Where the sum on an agent's span counts (rollup_spans) no line of a model call is added to it.
CREATE OR REPLACE TEMP TABLE line_calls AS
WITH
responses AS (
    SELECT trace_id, response_id, output_tokens, start_time, end_time
    FROM span_facts
    WHERE span_class = 'llm' AND response_id IN (SELECT response_id FROM call_lines)
),
unreported AS (
    SELECT lines.*, COALESCE(lines.run_id, lines.trace_id, lines.thread_id) AS run_name
    FROM call_lines AS lines
    ANTI JOIN responses
        ON responses.response_id = lines.response_id
        AND COALESCE(responses.output_tokens, lines.output_tokens, 0)
            = COALESCE(lines.output_tokens, responses.output_tokens, 0)
        AND responses.start_time <= lines.ended_at + INTERVAL '1' MINUTE
        AND responses.end_time >= lines.started_at - INTERVAL '1' MINUTE
        AND (
            LENGTH(lines.response_id) > 12 OR lines.trace_id IS NULL
            OR responses.trace_id = lines.trace_id
        )
),
known_runs AS (
    SELECT
        runs.run_key, runs.run_id, runs.trace_id,
        COALESCE(runs.thread_id, summaries.thread_id) AS thread_id,
        COALESCE(runs.tenant_id, summaries.tenant_id) AS tenant_id,
        COALESCE(runs.user_id, summaries.user_id) AS user_id,
        COALESCE(runs.agent_name, summaries.agent_name) AS agent_name,
        COALESCE(runs.feature, summaries.feature) AS feature
    FROM run_spans AS runs
    LEFT JOIN run_summaries AS summaries ON summaries.run_key = runs.run_key
    WHERE runs.run_id IN (SELECT run_name FROM unreported)
       OR runs.trace_id IN (SELECT trace_id FROM unreported)
    UNION ALL
    SELECT
        run_key, COALESCE(run_id, run_key) AS run_id, trace_id, thread_id, tenant_id, user_id,
        agent_name, feature
    FROM log_only_runs
),
named_runs AS (
    SELECT * FROM known_runs
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY run_key) = 1
),
traced_runs AS (
    SELECT * FROM known_runs
    WHERE trace_id IS NOT NULL
    QUALIFY COUNT(*) OVER (PARTITION BY trace_id) = 1
),
placed AS (
    SELECT
        lines.*,
        COALESCE(named.trace_id, lines.trace_id) AS known_trace,
        COALESCE(named.run_key, traced.run_key, lines.trace_id, lines.run_id, lines.log_id)
            AS run_key,
        COALESCE(named.run_id, traced.run_id, lines.run_id, lines.trace_id) AS known_run,
        COALESCE(named.thread_id, traced.thread_id) AS run_thread,
        COALESCE(named.tenant_id, traced.tenant_id) AS run_tenant,
        COALESCE(named.user_id, traced.user_id) AS run_user,
        COALESCE(named.agent_name, traced.agent_name) AS run_agent,
        COALESCE(named.feature, traced.feature) AS run_feature
    FROM unreported AS lines
    LEFT JOIN named_runs AS named ON named.run_id = lines.run_name
    LEFT JOIN traced_runs AS traced ON traced.trace_id = lines.trace_id
),
trace_spans AS (
    SELECT trace_id, span_id, span_class
    FROM span_facts
    WHERE trace_id IN (SELECT known_trace FROM placed)
    GROUP BY trace_id, span_id, span_class
),
traces_with_calls AS (
    SELECT trace_id, span_class
    FROM trace_spans
    WHERE span_class IN ('llm', 'tool')
    GROUP BY trace_id, span_class
),
traces_with_sums AS (
    SELECT trace_id FROM rollup_spans GROUP BY trace_id
)
SELECT
    placed.span_class, placed.run_key, placed.span_id, placed.trace_id,
    placed.known_run AS run_id,
    COALESCE(placed.thread_id, placed.run_thread) AS thread_id,
    COALESCE(placed.tenant_id, placed.run_tenant) AS tenant_id,
    COALESCE(placed.user_id, placed.run_user) AS user_id,
    COALESCE(placed.agent_name, placed.run_agent) AS agent_name,
    COALESCE(placed.feature, placed.run_feature, placed.agent_name) AS feature,
    placed.node, placed.started_at, placed.duration_ms, placed.ttfb_ms, placed.provider,
    placed.request_model, placed.response_model, placed.response_id, placed.finish_reason,
    placed.input_tokens, placed.output_tokens, placed.cache_read_tokens,
    placed.cache_write_tokens, placed.reasoning_tokens, placed.tool_name, placed.tool_call_id,
    placed.outcome, placed.outcome_reason, placed.error_class, placed.error_message,
    placed.attempt, placed.idempotency_key, placed.embeds
FROM placed
LEFT JOIN trace_spans AS own
    ON own.trace_id = placed.trace_id AND own.span_id = placed.span_id
LEFT JOIN traces_with_calls AS called
    ON called.trace_id = placed.known_trace AND called.span_class = placed.span_class
LEFT JOIN traces_with_sums AS summed ON summed.trace_id = placed.known_trace
WHERE (
        called.trace_id IS NULL
        OR (
            placed.trace_id = placed.known_trace
            AND placed.span_id IS NOT NULL
            AND own.span_id IS NULL
        )
    )
  AND (placed.span_class = 'tool' OR summed.trace_id IS NULL)
