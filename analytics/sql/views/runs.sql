-- Every agent request once: what a user waited for, what it used and what it cost.
--
-- A run is the outermost agent span of a trace (see run_spans). Of a run that left no such span it is
-- the summary line (such as `agent.run`); of an agent that writes none, what the lines of its calls
-- have in common (see line_runs).
--
--   thread_id       VARCHAR         the conversation; NULL if none was named, never the trace_id
--   duration_ms     DOUBLE          ms; NULL if the source does not measure (0)
--   ttfb_ms         DOUBLE          ms from the request accepted to the first token sent; from the
--                                   run's own span or summary line, NULL if neither says
--   outcome         VARCHAR         success, error or interrupt
--   models          VARCHAR[]       models that answered, sorted
--   llm_calls       BIGINT          model calls, each try counted
--   tool_calls      BIGINT          tool calls, each try counted; tool_errors of them failed
--   *_tokens        BIGINT          tokens; NULL if no usage was reported
--   cost_usd        DECIMAL(38,12)  USD of what could be priced; NULL if nothing could
--   unpriced_calls  BIGINT          calls whose cost is unknown and not in cost_usd
--   usage_source    VARCHAR         calls, rollup or summary (see billed); NULL without usage
--   source          VARCHAR         spans or logs
CREATE OR REPLACE TEMP TABLE runs AS
WITH
usage_of_model AS (
    SELECT
        run_key,
        COALESCE(response_model, request_model) AS model,
        COUNT(*) FILTER (WHERE usage_source = 'calls') AS llm_calls,
        SUM(input_tokens) AS input_tokens,
        SUM(output_tokens) AS output_tokens,
        SUM(cache_read_tokens) AS cache_read_tokens,
        SUM(cache_write_tokens) AS cache_write_tokens,
        SUM(reasoning_tokens) AS reasoning_tokens,
        SUM(cost_usd) AS cost_usd,
        COUNT(*) FILTER (WHERE unpriced) AS unpriced_calls,
        MIN(CASE WHEN input_tokens IS NOT NULL OR output_tokens IS NOT NULL THEN usage_source END)
            AS usage_source
    FROM billed
    GROUP BY run_key, COALESCE(response_model, request_model)
),
usage_of_run AS (
    SELECT
        run_key,
        array_agg(model ORDER BY model) FILTER (WHERE model IS NOT NULL) AS models,
        CAST(SUM(llm_calls) AS BIGINT) AS llm_calls,
        TRY_CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
        TRY_CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
        TRY_CAST(SUM(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
        TRY_CAST(SUM(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
        TRY_CAST(SUM(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
        SUM(cost_usd) AS cost_usd,
        CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls,
        MIN(usage_source) AS usage_source
    FROM usage_of_model
    GROUP BY run_key
),
tools_of_run AS (
    SELECT
        run_key,
        COUNT(*) AS tool_calls,
        COUNT(*) FILTER (WHERE outcome = 'error') AS tool_errors
    FROM tool_spans
    GROUP BY run_key
)
SELECT
    ended.run_id, ended.trace_id, ended.thread_id, ended.tenant_id, ended.user_id,
    ended.agent_name, ended.feature, ended.started_at, ended.ended_at, ended.duration_ms,
    ended.ttfb_ms, ended.outcome, ended.outcome_reason, ended.error_class, ended.error_message,
    used.models,
    COALESCE(NULLIF(used.llm_calls, 0), ended.line_llm_calls, 0) AS llm_calls,
    COALESCE(tools.tool_calls, ended.line_tool_calls, 0) AS tool_calls,
    COALESCE(tools.tool_errors, ended.line_tool_errors, 0) AS tool_errors,
    used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens,
    used.reasoning_tokens, used.cost_usd,
    COALESCE(used.unpriced_calls, 0) AS unpriced_calls,
    used.usage_source, ended.source
FROM run_endings AS ended
LEFT JOIN usage_of_run AS used ON used.run_key = ended.run_key
LEFT JOIN tools_of_run AS tools ON tools.run_key = ended.run_key
