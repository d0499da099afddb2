-- Which runs do spans and log lines tell differently?
--
-- Compared is what both know. The lines' usage is what the summary adds up, else what the lines of the
-- model calls say; the spans' is what their calls say, else the sum on the agent's span.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $tolerance_ms    DOUBLE       ms that durations may differ
--
-- Columns (newest first):
--   run_id                  VARCHAR
--   trace_id                VARCHAR
--   tenant_id               VARCHAR
--   agent_name              VARCHAR
--   started_at              TIMESTAMPTZ  UTC
--   seen_in                 VARCHAR      both
--   reason                  VARCHAR      what differs, spans first
--   outcome_in_spans        VARCHAR
--   outcome_in_logs         VARCHAR
--   duration_ms_in_spans    DOUBLE       ms
--   duration_ms_in_logs     DOUBLE       ms
--   llm_calls_in_spans      BIGINT       model calls, each try counted
--   llm_calls_in_logs       BIGINT       model calls, each try counted
--   input_tokens_in_spans   BIGINT       tokens
--   input_tokens_in_logs    BIGINT       tokens
--   output_tokens_in_spans  BIGINT       tokens
--   output_tokens_in_logs   BIGINT       tokens
WITH
used_in_spans AS (
    SELECT
        COALESCE(members.run_key, used.trace_id) AS run_key,
        SUM(used.calls) AS llm_calls,
        SUM(used.input_tokens) AS input_tokens,
        SUM(used.output_tokens) AS output_tokens
    FROM (
        SELECT trace_id, span_id, 1 AS calls, input_tokens, output_tokens FROM llm_spans
        UNION ALL
        SELECT trace_id, span_id, 0 AS calls, input_tokens, output_tokens FROM rollup_spans
    ) AS used
    LEFT JOIN run_members AS members
        ON members.trace_id = used.trace_id AND members.span_id = used.span_id
    GROUP BY COALESCE(members.run_key, used.trace_id)
),
used_in_lines AS (
    SELECT
        COALESCE(run_id, trace_id) AS run_name,
        COUNT(*) AS llm_calls,
        SUM(input_tokens) AS input_tokens,
        SUM(output_tokens) AS output_tokens
    FROM (
        SELECT run_id, trace_id, input_tokens, output_tokens
        FROM run_lines
        WHERE span_class = 'llm' AND COALESCE(run_id, trace_id) IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY log_id ORDER BY received_at) = 1
    ) AS lines
    GROUP BY COALESCE(run_id, trace_id)
),
sides AS (
    SELECT
        runs.run_id, runs.trace_id,
        COALESCE(runs.tenant_id, line.tenant_id) AS tenant_id,
        COALESCE(runs.agent_name, line.agent_name) AS agent_name,
        runs.started_at, runs.outcome AS outcome_in_spans,
        line.outcome AS outcome_in_logs,
        runs.duration_ms AS duration_ms_in_spans,
        line.line_duration_ms AS duration_ms_in_logs,
        COALESCE(spent.llm_calls, 0) AS llm_calls_in_spans,
        COALESCE(line.llm_calls, called.llm_calls, trace_called.llm_calls)
            AS llm_calls_in_logs,
        spent.input_tokens AS input_tokens_in_spans,
        COALESCE(
            line.input_tokens, called.input_tokens,
            trace_called.input_tokens
        ) AS input_tokens_in_logs,
        spent.output_tokens AS output_tokens_in_spans,
        COALESCE(
            line.output_tokens, called.output_tokens,
            trace_called.output_tokens
        ) AS output_tokens_in_logs
    FROM run_spans AS runs
    LEFT JOIN run_summaries AS line ON line.run_key = runs.run_key
    LEFT JOIN used_in_lines AS called ON called.run_name = runs.run_id
    LEFT JOIN used_in_lines AS trace_called
        ON trace_called.run_name = runs.run_key AND runs.run_key <> runs.run_id
    LEFT JOIN used_in_spans AS spent ON spent.run_key = runs.run_key
    WHERE runs.started_at >= $since
      AND runs.started_at < $until
      AND ($tenant IS NULL OR COALESCE(runs.tenant_id, line.tenant_id) = $tenant)
),
told AS (
    SELECT
        *,
        CASE
            WHEN outcome_in_spans <> outcome_in_logs
                THEN ', outcome ' || outcome_in_spans || ' / ' || outcome_in_logs
            ELSE ''
        END
        || CASE
            WHEN ABS(duration_ms_in_spans - duration_ms_in_logs) > $tolerance_ms
                THEN ', duration ' || CAST(ROUND(duration_ms_in_spans, 0) AS VARCHAR) || ' / '
                    || CAST(ROUND(duration_ms_in_logs, 0) AS VARCHAR) || ' ms'
            ELSE ''
        END
        || CASE
            WHEN llm_calls_in_spans <> llm_calls_in_logs
                THEN ', model calls ' || CAST(llm_calls_in_spans AS VARCHAR) || ' / '
                    || CAST(llm_calls_in_logs AS VARCHAR)
            ELSE ''
        END
        || CASE
            WHEN COALESCE(input_tokens_in_spans, 0) <> input_tokens_in_logs
                THEN ', input tokens ' || COALESCE(CAST(input_tokens_in_spans AS VARCHAR), 'none')
                    || ' / ' || CAST(input_tokens_in_logs AS VARCHAR)
            ELSE ''
        END
        || CASE
            WHEN COALESCE(output_tokens_in_spans, 0) <> output_tokens_in_logs
                THEN ', output tokens '
                    || COALESCE(CAST(output_tokens_in_spans AS VARCHAR), 'none') || ' / '
                    || CAST(output_tokens_in_logs AS VARCHAR)
            ELSE ''
        END AS differs
    FROM sides
)
SELECT
    run_id, trace_id, tenant_id, agent_name, started_at, 'both' AS seen_in,
    'spans / logs: ' || SUBSTRING(differs, 3) AS reason,
    outcome_in_spans, outcome_in_logs, duration_ms_in_spans, duration_ms_in_logs,
    TRY_CAST(llm_calls_in_spans AS BIGINT) AS llm_calls_in_spans,
    TRY_CAST(llm_calls_in_logs AS BIGINT) AS llm_calls_in_logs,
    TRY_CAST(input_tokens_in_spans AS BIGINT) AS input_tokens_in_spans,
    TRY_CAST(input_tokens_in_logs AS BIGINT) AS input_tokens_in_logs,
    TRY_CAST(output_tokens_in_spans AS BIGINT) AS output_tokens_in_spans,
    TRY_CAST(output_tokens_in_logs AS BIGINT) AS output_tokens_in_logs
FROM told
WHERE differs <> ''
ORDER BY started_at DESC, run_id
