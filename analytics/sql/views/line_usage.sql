-- Step: what the line of a model call says it used, where its span came and does not say.
--
-- Not where another span tells of the same response, or where a sum of the trace counts (rollup_spans).
-- Of several lines that name the span the last stands. The model is the span's, or else the line's.
CREATE OR REPLACE TEMP TABLE line_usage AS
WITH told AS (
    SELECT response_id
    FROM span_facts
    WHERE span_class = 'llm' AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
      AND response_id IS NOT NULL
)
SELECT
    lines.trace_id, lines.span_id,
    COALESCE(silent.provider, lines.provider) AS provider,
    COALESCE(silent.request_model, lines.request_model) AS request_model,
    COALESCE(silent.response_model, lines.response_model) AS response_model,
    lines.input_tokens, lines.output_tokens, lines.cache_read_tokens,
    lines.cache_write_tokens, lines.reasoning_tokens
FROM run_lines AS lines
JOIN (
    SELECT
        trace_id, span_id,
        MIN(provider) AS provider,
        MIN(request_model) AS request_model,
        MIN(response_model) AS response_model
    FROM span_facts
    WHERE span_class = 'llm' AND input_tokens IS NULL AND output_tokens IS NULL
    GROUP BY trace_id, span_id
) AS silent ON silent.trace_id = lines.trace_id AND silent.span_id = lines.span_id
ANTI JOIN told ON told.response_id = lines.response_id
ANTI JOIN rollup_spans AS summed ON summed.trace_id = lines.trace_id
WHERE lines.span_class = 'llm'
  AND (lines.input_tokens IS NOT NULL OR lines.output_tokens IS NOT NULL)
QUALIFY row_number() OVER (
    PARTITION BY lines.trace_id, lines.span_id ORDER BY lines.time DESC, lines.log_id
) = 1
