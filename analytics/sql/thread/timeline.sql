-- What happened in a thread, line by line?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  spans and log lines with since <= time < until
--   $tenant          VARCHAR      without lines that name another tenant; NULL = all
--   $thread_id       VARCHAR      the thread
--
-- A span or line belongs to the thread if it says so itself or if its trace belongs to one only,
-- this.
--
-- Columns (in order of time; of the same moment, a span before what is in it):
--   time            TIMESTAMPTZ     start of a span, time of a line; UTC
--   source          VARCHAR         span or log
--   what            VARCHAR         span_class of a span, severity of a line
--   name            VARCHAR         name of the span, event of the line
--   node            VARCHAR
--   tool_name       VARCHAR
--   model           VARCHAR
--   duration_ms     DOUBLE          ms
--   ttfb_ms         DOUBLE          ms
--   input_tokens    BIGINT          tokens
--   output_tokens   BIGINT          tokens
--   cost_usd        DECIMAL         USD, of model calls; NULL where unknown
--   outcome         VARCHAR         success, error or interrupt
--   error_class     VARCHAR
--   message         VARCHAR         error message, else the body of the line
--   run_id          VARCHAR
--   trace_id        VARCHAR
--   span_id         VARCHAR
--   parent_span_id  VARCHAR
WITH
own_traces AS (
    SELECT trace_id
    FROM (
        SELECT trace_id, thread_id FROM lake_spans
        UNION ALL
        SELECT trace_id, thread_id FROM lake_logs
    ) AS said
    WHERE trace_id IS NOT NULL
    GROUP BY trace_id
    HAVING MIN(thread_id) = $thread_id AND MAX(thread_id) = $thread_id
),
lines AS (
    SELECT
        start_time AS time, 'span' AS source, span_class AS what, name, node, tool_name,
        COALESCE(response_model, request_model) AS model, duration_ms, ttfb_ms, input_tokens,
        output_tokens, outcome, error_class, error_message AS message, run_id, tenant_id,
        thread_id, trace_id, span_id, parent_span_id
    FROM spans
    UNION ALL
    SELECT
        time, 'log' AS source, severity AS what, COALESCE(event_name, body) AS name, node,
        tool_name, COALESCE(response_model, request_model) AS model, duration_ms, ttfb_ms,
        input_tokens, output_tokens, outcome, error_class,
        COALESCE(error_message, body) AS message, run_id, tenant_id, thread_id, trace_id, span_id,
        NULL AS parent_span_id
    FROM logs
)
SELECT
    lines.time, lines.source, lines.what, lines.name, lines.node, lines.tool_name, lines.model,
    lines.duration_ms, lines.ttfb_ms, lines.input_tokens, lines.output_tokens, priced.cost_usd,
    lines.outcome, lines.error_class, lines.message, lines.run_id, lines.trace_id, lines.span_id,
    lines.parent_span_id
FROM lines
LEFT JOIN own_traces ON own_traces.trace_id = lines.trace_id
LEFT JOIN llm_calls AS priced
    ON lines.source = 'span' AND priced.trace_id = lines.trace_id
    AND priced.span_id = lines.span_id
WHERE (lines.thread_id = $thread_id OR own_traces.trace_id IS NOT NULL)
  AND lines.time >= $since
  AND lines.time < $until
  AND ($tenant IS NULL OR COALESCE(lines.tenant_id, $tenant) = $tenant)
ORDER BY lines.time, lines.source DESC, lines.duration_ms DESC, lines.span_id
