-- Everything that used tokens, once: what to sum for spend.
--
-- The rows of `llm_calls`, and the usage that is known only in sum: of agent, node or other
-- spans with nothing below that reports usage (usage_source `rollup`, in place of the calls below),
-- and of runs whose summary line alone tells it (`summary`). Columns as in `llm_calls`, and:
--   usage_source  VARCHAR  calls, rollup or summary
--   unpriced      BOOLEAN  cost_usd is unknown though something may have been billed
CREATE OR REPLACE TEMP VIEW usage AS
SELECT
    usage_source, span_id, trace_id, run_id, thread_id, tenant_id, user_id, agent_name, feature,
    node, started_at, duration_ms, ttfb_ms, provider, request_model, response_model, response_id,
    finish_reason, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    reasoning_tokens, cost_usd, price_id, outcome, error_class, attempt, unpriced,
    outcome_reason
FROM billed
WHERE NOT summed_above
