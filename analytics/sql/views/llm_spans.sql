-- Step: every model call once.
--
-- One call can leave several spans: a span sent twice; the SDK's and the gateway's, which share the
-- response_id; a wrapper around a model span that reports the usage again. The earliest of the same
-- response stands; a wrapper yields to the call inside it, whether directly below or through spans
-- that are no agent work.
--
-- Servers like Ollama repeat response ids, so the same response is one with as many output tokens
-- that began within a minute of the one before. A span without a response_id is itself alone: span
-- ids are unique only within their trace.
CREATE OR REPLACE TEMP VIEW llm_spans AS
WITH RECURSIVE
-- Calls whose parent is a model call or a span that may lead to one.
inner_calls AS (
    SELECT trace_id, span_id, parent_span_id
    FROM lake_spans
    WHERE span_class = 'llm'
      AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
      AND parent_span_id IN (SELECT span_id FROM lake_spans WHERE span_class IN ('llm', 'other'))
),
passages AS (
    SELECT trace_id, span_id, parent_span_id
    FROM lake_spans
    WHERE span_class = 'other' AND parent_span_id IS NOT NULL
      AND trace_id IN (SELECT trace_id FROM inner_calls)
),
-- Every span above such a call with nothing but passages between. UNION ends loops.
above (trace_id, ancestor_id) AS (
    SELECT trace_id, parent_span_id FROM inner_calls WHERE parent_span_id <> span_id
    UNION
    SELECT above.trace_id, passages.parent_span_id
    FROM above
    JOIN passages ON passages.trace_id = above.trace_id AND passages.span_id = above.ancestor_id
),
calls AS NOT MATERIALIZED (
    SELECT
        spans.trace_id, spans.span_id, spans.run_id, spans.thread_id, spans.tenant_id,
        spans.user_id, spans.agent_name, spans.feature, spans.node, spans.start_time,
        spans.duration_ms, spans.ttfb_ms, spans.provider, spans.request_model,
        spans.response_model, spans.response_id, spans.finish_reason, spans.input_tokens,
        spans.output_tokens, spans.cache_read_tokens, spans.cache_write_tokens,
        spans.reasoning_tokens, spans.outcome, spans.status, spans.error_class, spans.attempt,
        COALESCE(LOWER(spans.operation) LIKE '%embed%', FALSE) AS embeds,
        COALESCE(spans.response_id, spans.trace_id || '/' || spans.span_id) AS call_key
    FROM lake_spans AS spans
    ANTI JOIN above ON above.trace_id = spans.trace_id AND above.ancestor_id = spans.span_id
    WHERE spans.span_class = 'llm'
),
-- Ordering all calls to find the few repeated ones would be most of the work.
repeated AS (
    SELECT call_key FROM calls GROUP BY call_key HAVING COUNT(*) > 1
)
SELECT calls.*
FROM calls
ANTI JOIN repeated ON repeated.call_key = calls.call_key
UNION ALL
SELECT calls.*
FROM calls
SEMI JOIN repeated ON repeated.call_key = calls.call_key
QUALIFY COALESCE(
    calls.start_time - lag(calls.start_time) OVER (
        PARTITION BY
            calls.call_key,
            calls.output_tokens,
            CASE WHEN calls.output_tokens IS NULL THEN calls.trace_id || '/' || calls.span_id END
        ORDER BY calls.start_time, calls.trace_id, calls.span_id
    ) > INTERVAL '1' MINUTE,
    TRUE
)
