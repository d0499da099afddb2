-- Step: every model call once.
--
-- One call can leave several spans: a span sent twice; the SDK's and the gateway's, which share the
-- response_id; a wrapper around a model span that reports the usage again. The earliest of the same
-- response stands (Ollama repeats response ids, hence output_tokens in the key); a wrapper yields to
-- the call inside it, whether directly below or through spans that are no agent work.
--
-- The recursion sees only model calls whose parent is a model call or such a span.
CREATE OR REPLACE VIEW llm_spans AS
WITH RECURSIVE
calls AS (
    SELECT
        trace_id, span_id, parent_span_id, run_id, thread_id, tenant_id, user_id, agent_name,
        feature, node, start_time, duration_ms, ttfb_ms, provider, request_model, response_model,
        response_id, finish_reason, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, outcome, status, error_class, attempt
    FROM lake_spans
    WHERE span_class = 'llm'
),
passages AS (
    SELECT trace_id, span_id, parent_span_id
    FROM lake_spans
    WHERE span_class = 'other' AND parent_span_id IS NOT NULL
      AND trace_id IN (SELECT trace_id FROM calls)
),
-- Every span above a call that reports usage, as long as nothing but passages lies between.
above (trace_id, ancestor_id) AS (
    SELECT trace_id, parent_span_id
    FROM calls
    WHERE parent_span_id <> span_id
      AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
    UNION
    SELECT above.trace_id, passages.parent_span_id
    FROM above
    JOIN passages ON passages.trace_id = above.trace_id AND passages.span_id = above.ancestor_id
)
SELECT calls.*
FROM calls
ANTI JOIN above ON above.trace_id = calls.trace_id AND above.ancestor_id = calls.span_id
QUALIFY row_number() OVER (
    PARTITION BY COALESCE(
        calls.response_id || '/' || CAST(calls.output_tokens AS VARCHAR),
        calls.trace_id || '/' || calls.span_id
    )
    ORDER BY calls.start_time, calls.trace_id, calls.span_id
) = 1
