-- Every model call once, with whom it was for and what it cost.
--
-- Each try of a call is a row. Times in UTC, durations in ms, tokens in tokens (cached ones are part
-- of input_tokens, reasoning of output_tokens), cost_usd in USD: NULL where the price or the usage
-- is unknown, never 0 for that. price_id names the row of `prices` it was computed with.
-- outcome_reason is `incomplete` where a call that ended well reports neither usage nor a finish
-- reason: a stream that was cut, or whose end was not recorded; and where a finish reason, on the span or
-- in its log event, says that it was cut.
CREATE OR REPLACE TEMP VIEW llm_calls AS
SELECT
    span_id, trace_id, run_id, thread_id, tenant_id, user_id, agent_name, feature, node,
    started_at, duration_ms, ttfb_ms, provider, request_model, response_model, response_id,
    finish_reason, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    reasoning_tokens, cost_usd, price_id, outcome, error_class, attempt, outcome_reason
FROM billed
WHERE usage_source = 'calls'
