-- Step: every model call that left several spans (merged_calls), once.
--
-- One of them stands for it: not a wrapper of another, in the trace of an agent, the earliest. What it
-- does not say is taken from the others, so that the provider may be named by one and the models by
-- another. other_* is what another span names, where two name different providers or models: a proxy has
-- the model's name behind its alias, say, which may be the one that has a price (billed). Its counts are those of the span that knows most; a part of them that only another knows is
-- taken from there if it is no larger than its whole.
--
-- twin_* is whom the other spans were for: they may be of another trace, so that the run of the call
-- is asked first.
CREATE OR REPLACE TEMP TABLE retold_calls AS
WITH
told AS (
    SELECT
        merged.call_key, spans.trace_id, spans.span_id, spans.run_id, spans.thread_id,
        spans.tenant_id, spans.user_id, spans.agent_name, spans.feature, spans.node,
        spans.start_time, spans.duration_ms, spans.ttfb_ms, spans.provider,
        spans.request_model, spans.response_model, spans.response_id,
        COALESCE(spans.finish_reason, endings.finish_reason) AS finish_reason,
        spans.input_tokens, spans.output_tokens, spans.cache_read_tokens,
        spans.cache_write_tokens, spans.reasoning_tokens,
        COALESCE(endings.outcome, spans.outcome) AS outcome,
        COALESCE(spans.outcome_reason, endings.outcome_reason) AS outcome_reason,
        spans.status, COALESCE(spans.error_class, endings.error_class) AS error_class,
        spans.attempt, spans.operation,
        row_number() OVER (
            PARTITION BY merged.call_key
            ORDER BY
                CASE WHEN merged.yields THEN 1 ELSE 0 END,
                CASE WHEN merged.in_agent_run THEN 0 ELSE 1 END,
                spans.start_time, spans.trace_id, spans.span_id, spans.end_time DESC,
                spans.received_at
        ) AS place,
        row_number() OVER (
            PARTITION BY merged.call_key
            ORDER BY
                CASE
                    WHEN spans.input_tokens IS NULL AND spans.output_tokens IS NULL THEN 2
                    WHEN spans.input_tokens IS NULL OR spans.output_tokens IS NULL THEN 1
                    ELSE 0
                END,
                CASE WHEN merged.yields THEN 1 ELSE 0 END,
                CASE WHEN spans.cache_read_tokens IS NULL THEN 1 ELSE 0 END
                + CASE WHEN spans.cache_write_tokens IS NULL THEN 1 ELSE 0 END
                + CASE WHEN spans.reasoning_tokens IS NULL THEN 1 ELSE 0 END,
                spans.start_time, spans.trace_id, spans.span_id, spans.received_at
        ) AS usage_place
    FROM merged_calls AS merged
    JOIN span_facts AS spans
        ON spans.trace_id = merged.trace_id AND spans.span_id = merged.span_id
    LEFT JOIN told_endings AS endings
        ON endings.trace_id = spans.trace_id AND endings.span_id = spans.span_id
    WHERE merged.call_key IS NOT NULL AND spans.span_class = 'llm'
),
merged AS (
    SELECT
        MIN(CASE WHEN place = 1 THEN trace_id END) AS trace_id,
        MIN(CASE WHEN place = 1 THEN span_id END) AS span_id,
        MIN(CASE WHEN place = 1 THEN run_id END) AS run_id,
        MIN(CASE WHEN place = 1 THEN thread_id END) AS thread_id,
        MIN(CASE WHEN place = 1 THEN tenant_id END) AS tenant_id,
        MIN(CASE WHEN place = 1 THEN user_id END) AS user_id,
        MIN(CASE WHEN place = 1 THEN agent_name END) AS agent_name,
        MIN(CASE WHEN place = 1 THEN feature END) AS feature,
        min_by(node, place) FILTER (WHERE node IS NOT NULL) AS node,
        MIN(CASE WHEN place = 1 THEN start_time END) AS start_time,
        MIN(CASE WHEN place = 1 THEN duration_ms END) AS duration_ms,
        min_by(ttfb_ms, place) FILTER (WHERE ttfb_ms IS NOT NULL) AS ttfb_ms,
        min_by(provider, place) FILTER (WHERE provider IS NOT NULL) AS provider,
        MIN(provider) AS least_provider,
        MAX(provider) AS greatest_provider,
        MIN(request_model) AS least_model,
        min_by(provider, request_model) AS provider_of_least_model,
        min_by(response_model, request_model) AS response_of_least_model,
        MAX(request_model) AS greatest_model,
        max_by(provider, request_model) AS provider_of_greatest_model,
        max_by(response_model, request_model) AS response_of_greatest_model,
        MIN(response_model) AS least_response,
        min_by(provider, response_model) AS provider_of_least_response,
        min_by(request_model, response_model) AS model_of_least_response,
        MAX(response_model) AS greatest_response,
        max_by(provider, response_model) AS provider_of_greatest_response,
        max_by(request_model, response_model) AS model_of_greatest_response,
        min_by(request_model, place) FILTER (WHERE request_model IS NOT NULL) AS request_model,
        min_by(response_model, place) FILTER (WHERE response_model IS NOT NULL)
            AS response_model,
        min_by(response_id, place) FILTER (WHERE response_id IS NOT NULL) AS response_id,
        min_by(finish_reason, place) FILTER (WHERE finish_reason IS NOT NULL) AS finish_reason,
        MIN(CASE WHEN usage_place = 1 THEN input_tokens END) AS input_tokens,
        MIN(CASE WHEN usage_place = 1 THEN output_tokens END) AS output_tokens,
        MIN(CASE WHEN usage_place = 1 THEN cache_read_tokens END) AS own_cache_read_tokens,
        MIN(CASE WHEN usage_place = 1 THEN cache_write_tokens END) AS own_cache_write_tokens,
        MIN(CASE WHEN usage_place = 1 THEN reasoning_tokens END) AS own_reasoning_tokens,
        MAX(cache_read_tokens) AS cache_read_tokens,
        MAX(cache_write_tokens) AS cache_write_tokens,
        CAST(COALESCE(MAX(cache_read_tokens), 0) AS DECIMAL(38, 0))
            + COALESCE(MAX(cache_write_tokens), 0) AS cached_tokens,
        MAX(reasoning_tokens) AS reasoning_tokens,
        MIN(CASE WHEN place = 1 THEN outcome END) AS outcome,
        MIN(CASE WHEN place = 1 THEN outcome_reason END) AS outcome_reason,
        MIN(CASE WHEN place = 1 THEN status END) AS status,
        MIN(CASE WHEN place = 1 THEN error_class END) AS error_class,
        min_by(attempt, place) FILTER (WHERE attempt IS NOT NULL) AS attempt,
        COUNT(*) FILTER (WHERE LOWER(operation) LIKE '%embed%') > 0 AS embeds,
        min_by(thread_id, place) FILTER (WHERE thread_id IS NOT NULL) AS twin_thread_id,
        min_by(tenant_id, place) FILTER (WHERE tenant_id IS NOT NULL) AS twin_tenant_id,
        min_by(user_id, place) FILTER (WHERE user_id IS NOT NULL) AS twin_user_id
    FROM told
    GROUP BY call_key
)
SELECT
    trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name, feature, node,
    start_time, duration_ms, ttfb_ms, provider,
    CASE
        WHEN least_model <> request_model THEN COALESCE(provider_of_least_model, provider)
        WHEN greatest_model <> request_model THEN COALESCE(provider_of_greatest_model, provider)
        WHEN least_response <> response_model THEN COALESCE(provider_of_least_response, provider)
        WHEN greatest_response <> response_model
            THEN COALESCE(provider_of_greatest_response, provider)
        WHEN least_provider <> provider THEN least_provider
        WHEN greatest_provider <> provider THEN greatest_provider
    END AS other_provider,
    CASE
        WHEN least_model <> request_model THEN least_model
        WHEN greatest_model <> request_model THEN greatest_model
        WHEN least_response <> response_model THEN model_of_least_response
        WHEN greatest_response <> response_model THEN model_of_greatest_response
        ELSE request_model
    END AS other_request_model,
    CASE
        WHEN least_model <> request_model THEN response_of_least_model
        WHEN greatest_model <> request_model THEN response_of_greatest_model
        WHEN least_response <> response_model THEN least_response
        WHEN greatest_response <> response_model THEN greatest_response
        ELSE response_model
    END AS other_response_model,
    request_model, response_model, response_id, finish_reason, input_tokens, output_tokens,
    CASE
        WHEN cached_tokens <= input_tokens THEN cache_read_tokens
        ELSE own_cache_read_tokens
    END AS cache_read_tokens,
    CASE
        WHEN cached_tokens <= input_tokens THEN cache_write_tokens
        ELSE own_cache_write_tokens
    END AS cache_write_tokens,
    CASE
        WHEN reasoning_tokens <= output_tokens THEN reasoning_tokens
        ELSE own_reasoning_tokens
    END AS reasoning_tokens,
    outcome, outcome_reason, status, error_class, attempt, embeds, twin_thread_id,
    twin_tenant_id, twin_user_id
FROM merged
