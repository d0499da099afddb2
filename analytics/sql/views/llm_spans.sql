-- Step: every model call once: those that one span tells of, and those of several (retold_calls).
CREATE OR REPLACE TEMP VIEW llm_spans AS
SELECT
    spans.trace_id, spans.span_id, spans.run_id, spans.thread_id, spans.tenant_id,
    spans.user_id, spans.agent_name, spans.feature, spans.node, spans.start_time,
    spans.duration_ms, spans.ttfb_ms, spans.provider, NULL AS other_provider,
    NULL AS other_request_model, NULL AS other_response_model,
    spans.request_model, spans.response_model, spans.response_id,
    COALESCE(spans.finish_reason, endings.finish_reason) AS finish_reason, spans.input_tokens,
    spans.output_tokens, spans.cache_read_tokens, spans.cache_write_tokens,
    spans.reasoning_tokens,
    COALESCE(endings.outcome, spans.outcome) AS outcome,
    COALESCE(spans.outcome_reason, endings.outcome_reason) AS outcome_reason, spans.status,
    COALESCE(spans.error_class, endings.error_class) AS error_class, spans.attempt,
    COALESCE(LOWER(spans.operation) LIKE '%embed%', FALSE) AS embeds,
    NULL AS twin_thread_id, NULL AS twin_tenant_id, NULL AS twin_user_id
FROM span_facts AS spans
ANTI JOIN merged_calls AS merged
    ON merged.trace_id = spans.trace_id AND merged.span_id = spans.span_id
LEFT JOIN told_endings AS endings
    ON endings.trace_id = spans.trace_id AND endings.span_id = spans.span_id
WHERE spans.span_class = 'llm'
UNION ALL
SELECT
    trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name, feature, node,
    start_time, duration_ms, ttfb_ms, provider, other_provider, other_request_model,
    other_response_model, request_model, response_model,
    response_id, finish_reason, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    reasoning_tokens, outcome, outcome_reason, status, error_class, attempt, embeds,
    twin_thread_id, twin_tenant_id, twin_user_id
FROM retold_calls
