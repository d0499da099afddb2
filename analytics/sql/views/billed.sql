-- Step: everything that used tokens, once, with whom it was for and what it cost.
--
-- usage_source says where the usage was reported: `calls` (span or line of a model call), `rollup`
-- (any other span with nothing below that reports usage) or `summary` (summary line of a run whose
-- calls left neither spans nor lines with usage). A call whose span does not say what it used has it
-- from its line (line_usage), and the model where the span names none. Of two providers or models of a
-- call, such as a gateway's alias and who served the model, those stand together that the price list has,
-- else the first; `litellm` it prices by the model alone, whoever served it.
--
-- Cost in USD = (input - cache read - cache write) x input price + cache read x its price
-- + cache write x its price + (output - reasoning) x output price + reasoning x its price
-- + the price per request, at the price valid when the call began, in the tier of its whole input
-- (genai-prices' rule). NULL where the price or the usage is unknown: both counts must be known, but
-- embeddings have no output.
--
-- unpriced: cost is unknown though something may have been billed. A call that failed before any
-- answer is not, nor is one whose usage is in the sum of a span above it or of the summary
-- (summed_above).
CREATE OR REPLACE TEMP TABLE billed AS
WITH
spans_with_usage AS NOT MATERIALIZED (
    SELECT
        'calls' AS usage_source, spans.trace_id, spans.span_id, spans.run_id, spans.thread_id,
        spans.tenant_id, spans.user_id, spans.agent_name, spans.feature, spans.node,
        spans.start_time, spans.duration_ms, spans.ttfb_ms,
        CASE
            WHEN COALESCE(own_price.provider, 'litellm') = 'litellm' AND other_price.provider IS NOT NULL
                THEN spans.other_provider
            ELSE COALESCE(spans.provider, lines.provider)
        END AS provider,
        CASE
            WHEN COALESCE(own_price.provider, 'litellm') = 'litellm' AND other_price.provider IS NOT NULL
                THEN spans.other_request_model
            ELSE COALESCE(spans.request_model, lines.request_model)
        END AS request_model,
        CASE
            WHEN COALESCE(own_price.provider, 'litellm') = 'litellm' AND other_price.provider IS NOT NULL
                THEN spans.other_response_model
            ELSE COALESCE(spans.response_model, lines.response_model)
        END AS response_model,
        spans.response_id, spans.finish_reason,
        COALESCE(spans.input_tokens, lines.input_tokens) AS input_tokens,
        COALESCE(spans.output_tokens, lines.output_tokens) AS output_tokens,
        COALESCE(spans.cache_read_tokens, lines.cache_read_tokens) AS cache_read_tokens,
        COALESCE(spans.cache_write_tokens, lines.cache_write_tokens) AS cache_write_tokens,
        COALESCE(spans.reasoning_tokens, lines.reasoning_tokens) AS reasoning_tokens,
        spans.outcome, spans.outcome_reason, spans.status, spans.error_class, spans.attempt,
        spans.embeds, spans.twin_thread_id, spans.twin_tenant_id, spans.twin_user_id
    FROM llm_spans AS spans
    LEFT JOIN line_usage AS lines
        ON lines.trace_id = spans.trace_id AND lines.span_id = spans.span_id
        AND spans.input_tokens IS NULL AND spans.output_tokens IS NULL
    LEFT JOIN price_matches AS other_price
        ON other_price.provider = spans.other_provider
        AND other_price.request_model = COALESCE(spans.other_request_model, '')
        AND other_price.response_model = COALESCE(spans.other_response_model, '')
    LEFT JOIN price_matches AS own_price
        ON own_price.provider = spans.provider
        AND own_price.request_model = COALESCE(spans.request_model, '')
        AND own_price.response_model = COALESCE(spans.response_model, '')
    UNION ALL
    SELECT
        'rollup' AS usage_source, trace_id, span_id, run_id, thread_id, tenant_id, user_id,
        agent_name, feature, node, start_time, duration_ms, NULL AS ttfb_ms, provider,
        request_model, response_model, response_id, finish_reason, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, outcome, outcome_reason, status,
        error_class, attempt, FALSE AS embeds, NULL AS twin_thread_id, NULL AS twin_tenant_id,
        NULL AS twin_user_id
    FROM rollup_spans
),
told AS NOT MATERIALIZED (
    SELECT
        used.usage_source,
        CASE WHEN members.span_id IS NULL THEN used.trace_id ELSE members.run_key END AS run_key,
        used.span_id, used.trace_id,
        CASE WHEN members.span_id IS NULL THEN identity.run_id ELSE members.run_id END AS run_id,
        COALESCE(
            ruled.thread_id, used.thread_id, members.thread_id, identity.thread_id,
            line.thread_id, used.twin_thread_id
        ) AS thread_id,
        COALESCE(
            ruled.tenant_id, used.tenant_id, members.tenant_id, identity.tenant_id,
            line.tenant_id, used.twin_tenant_id
        ) AS tenant_id,
        COALESCE(
            ruled.user_id, used.user_id, members.user_id, identity.user_id, line.user_id,
            used.twin_user_id
        ) AS user_id,
        COALESCE(
            ruled.agent_name, used.agent_name, members.agent_name, identity.agent_name,
            line.agent_name
        ) AS agent_name,
        COALESCE(
            ruled.feature, used.feature, members.feature, identity.feature, ruled.agent_name,
            used.agent_name, members.agent_name, identity.agent_name, line.feature
        ) AS feature,
        used.node, used.start_time AS started_at, NULLIF(used.duration_ms, 0) AS duration_ms,
        used.ttfb_ms, used.provider, used.request_model, used.response_model,
        used.response_id, used.finish_reason, used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens,
        used.reasoning_tokens,
        COALESCE(
            used.outcome,
            CASE WHEN used.status = 'error' THEN 'error' ELSE 'success' END
        ) AS outcome,
        used.outcome_reason, used.error_class, used.attempt, used.embeds,
        used.usage_source = 'calls' AND sums.span_id IS NOT NULL AS summed_above
    FROM spans_with_usage AS used
    LEFT JOIN rolled_up AS sums
        ON sums.trace_id = used.trace_id AND sums.span_id = used.span_id
    LEFT JOIN overruled AS ruled
        ON ruled.trace_id = used.trace_id AND ruled.span_id = used.span_id
    LEFT JOIN run_members AS members
        ON members.trace_id = used.trace_id AND members.span_id = used.span_id
    LEFT JOIN trace_identity AS identity
        ON identity.trace_id = used.trace_id AND members.span_id IS NULL
    LEFT JOIN run_summaries AS line
        ON line.run_key
            = CASE WHEN members.span_id IS NULL THEN used.trace_id ELSE members.run_key END
    UNION ALL
    SELECT
        'calls' AS usage_source, run_key, span_id, trace_id, run_id, thread_id, tenant_id, user_id,
        agent_name, feature, node, started_at, duration_ms, ttfb_ms, provider, request_model,
        response_model, response_id, finish_reason, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, outcome, outcome_reason, error_class, attempt, embeds,
        FALSE AS summed_above
    FROM line_calls
    WHERE span_class = 'llm'
),
told_of AS (
    SELECT
        run_key AS run_name, CAST(NULL AS VARCHAR) AS astray_of,
        COALESCE(input_tokens, output_tokens) IS NOT NULL AS with_usage
    FROM told
    WHERE run_key IS NOT NULL
    UNION ALL
    SELECT
        run_id AS run_name, CASE WHEN run_key IS NULL THEN trace_id END AS astray_of,
        COALESCE(input_tokens, output_tokens) IS NOT NULL AS with_usage
    FROM told
),
-- Of a run without usage in any call or sum of spans. One that knows of calls but not what they used
-- stands for them where none is told.
summed AS (
    SELECT
        'summary' AS usage_source, runs.run_key, runs.span_id, runs.trace_id,
        COALESCE(runs.run_id, runs.run_key) AS run_id, runs.thread_id, runs.tenant_id,
        runs.user_id, runs.agent_name, runs.feature, NULL AS node, runs.started_at,
        runs.duration_ms, NULL AS ttfb_ms, runs.provider, runs.request_model, runs.response_model,
        NULL AS response_id, NULL AS finish_reason, runs.input_tokens, runs.output_tokens,
        runs.cache_read_tokens, runs.cache_write_tokens, runs.reasoning_tokens, runs.outcome,
        runs.outcome_reason, runs.error_class, NULL AS attempt, FALSE AS embeds,
        FALSE AS summed_above
    FROM log_only_runs AS runs
    ANTI JOIN line_calls AS lines
        ON lines.run_key = runs.run_key AND lines.span_class = 'llm'
        AND (
            COALESCE(lines.input_tokens, lines.output_tokens) IS NOT NULL
            OR COALESCE(runs.input_tokens, runs.output_tokens) IS NULL
        )
    ANTI JOIN (
        SELECT trace_id
        FROM span_facts
        WHERE span_class IN ('llm', 'agent', 'node')
          AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
    ) AS used ON used.trace_id = runs.trace_id
    -- Sums of zero are those of a run no call of which was answered, and not usage.
    WHERE runs.input_tokens > 0
       OR runs.output_tokens > 0
       OR (runs.llm_calls > 0 AND runs.input_tokens IS NULL AND runs.output_tokens IS NULL)
    UNION ALL
    SELECT
        'summary' AS usage_source, runs.run_key, runs.span_id, runs.trace_id, runs.run_id,
        runs.thread_id, runs.tenant_id, runs.user_id, runs.agent_name, runs.feature, NULL AS node,
        runs.started_at, runs.duration_ms, NULL AS ttfb_ms, runs.provider, runs.request_model,
        runs.response_model, NULL AS response_id, NULL AS finish_reason, runs.input_tokens,
        runs.output_tokens, runs.cache_read_tokens, runs.cache_write_tokens,
        runs.reasoning_tokens, runs.outcome, runs.outcome_reason, runs.error_class,
        NULL AS attempt, FALSE AS embeds, FALSE AS summed_above
    FROM run_summaries AS runs
    ANTI JOIN told_of AS called
        ON called.run_name = runs.run_key
        AND (called.with_usage OR COALESCE(runs.input_tokens, runs.output_tokens) IS NULL)
    ANTI JOIN told_of AS named
        ON named.run_name = runs.run_id
        AND (named.with_usage OR COALESCE(runs.input_tokens, runs.output_tokens) IS NULL)
    -- A call of the trace that is of none of its runs may be in the sum.
    ANTI JOIN told_of AS astray
        ON astray.astray_of = runs.trace_id AND astray.with_usage
    WHERE runs.sums
      AND (
          runs.input_tokens > 0
          OR runs.output_tokens > 0
          OR (runs.llm_calls > 0 AND runs.input_tokens IS NULL AND runs.output_tokens IS NULL)
      )
),
attributed AS (
    SELECT
        told.* EXCLUDE (summed_above),
        told.summed_above OR sums.run_key IS NOT NULL AS summed_above
    FROM told
    LEFT JOIN (
        SELECT DISTINCT run_key
        FROM summed
        WHERE COALESCE(input_tokens, output_tokens) IS NOT NULL
    ) AS sums ON sums.run_key = told.run_key
    UNION ALL
    SELECT * FROM summed
),
-- Counts that cannot be true (negative, too large, a part above its whole) have no known cost.
counted AS (
    SELECT
        *,
        hour(started_at) * 3600 + minute(started_at) * 60 + second(started_at) AS second_of_day,
        TRY_CAST(COALESCE(input_tokens, 0) AS DECIMAL(12, 0)) AS input_count,
        TRY_CAST(COALESCE(cache_read_tokens, 0) AS DECIMAL(12, 0)) AS cache_read_count,
        TRY_CAST(COALESCE(cache_write_tokens, 0) AS DECIMAL(12, 0)) AS cache_write_count,
        TRY_CAST(COALESCE(output_tokens, 0) AS DECIMAL(12, 0)) AS output_count,
        TRY_CAST(
            LEAST(COALESCE(reasoning_tokens, 0), COALESCE(output_tokens, 0)) AS DECIMAL(12, 0)
        ) AS reasoning_count
    FROM attributed
),
priced AS (
    SELECT
        counted.*,
        prices.price_id,
        CASE
            WHEN counted.input_tokens IS NULL THEN NULL
            WHEN counted.output_tokens IS NULL AND NOT counted.embeds THEN NULL
            WHEN counted.input_tokens < 0 OR counted.output_tokens < 0 THEN NULL
            WHEN counted.cache_read_tokens < 0 OR counted.cache_write_tokens < 0 THEN NULL
            WHEN counted.reasoning_tokens < 0 THEN NULL
            WHEN cache_read_count + cache_write_count > input_count THEN NULL
            ELSE CAST(
                (input_count - cache_read_count - cache_write_count) * prices.input_usd
                + cache_read_count * prices.cache_read_usd
                + cache_write_count * prices.cache_write_usd
                + (output_count - reasoning_count) * prices.output_usd
                + reasoning_count * prices.reasoning_usd
                + prices.request_usd
                AS DECIMAL(38, 12)
            )
        END AS cost_usd
    FROM counted
    LEFT JOIN call_prices AS prices
        ON prices.provider = COALESCE(counted.provider, '')
        AND prices.request_model = COALESCE(counted.request_model, '')
        AND prices.response_model = COALESCE(counted.response_model, '')
        AND prices.valid_from <= counted.started_at
        AND prices.valid_to > counted.started_at
        AND prices.second_from <= counted.second_of_day
        AND prices.second_to > counted.second_of_day
        AND prices.input_tokens_above < COALESCE(counted.input_tokens, 0)
        AND prices.input_tokens_up_to >= COALESCE(counted.input_tokens, 0)
)
SELECT
    usage_source, run_key, span_id, trace_id, run_id, thread_id, tenant_id, user_id, agent_name,
    feature, node, started_at, duration_ms, ttfb_ms, provider, request_model, response_model,
    response_id, finish_reason, input_tokens, output_tokens, cache_read_tokens,
    cache_write_tokens, reasoning_tokens, cost_usd,
    CASE WHEN cost_usd IS NOT NULL THEN price_id END AS price_id,
    outcome,
    CASE
        WHEN outcome_reason IS NOT NULL THEN outcome_reason
        WHEN usage_source = 'calls' AND outcome = 'success' AND finish_reason IS NULL
            AND input_tokens IS NULL AND output_tokens IS NULL THEN 'incomplete'
    END AS outcome_reason,
    error_class, attempt, summed_above,
    cost_usd IS NULL AND NOT summed_above AND (
        outcome = 'success' OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL
        OR response_id IS NOT NULL OR ttfb_ms IS NOT NULL
    ) AS unpriced
FROM priced
