-- Step: the summary line of every run that left spans, with what it says of it, and whose the run is.
--
-- It is the line that names the run; else one of its trace that names none, or, where no span names the
-- run, the only one of its trace.
--
--   tenant_id, …  VARCHAR  as the spans say, else as the line says
--   sums          BOOLEAN  whether what the line adds up is of this run: a run_id of several traces has
--                          one sum
CREATE OR REPLACE TEMP TABLE run_summaries AS
WITH
alone AS (
    SELECT trace_id, MIN(run_key) AS run_key
    FROM log_runs
    WHERE trace_id IS NOT NULL
    GROUP BY trace_id
    HAVING COUNT(*) = 1
),
matched AS (
    SELECT runs.run_key, lines.run_key AS line_key, 1 AS place
    FROM run_spans AS runs
    JOIN log_runs AS lines ON lines.run_id = runs.run_id
    UNION ALL
    SELECT runs.run_key, lines.run_key AS line_key, 2 AS place
    FROM run_spans AS runs
    JOIN log_runs AS lines ON lines.run_key = runs.run_key AND lines.run_id IS NULL
    UNION ALL
    SELECT runs.run_key, alone.run_key AS line_key, 3 AS place
    FROM run_spans AS runs
    JOIN alone ON alone.trace_id = runs.run_key
    WHERE runs.run_id = runs.trace_id
),
chosen AS (
    SELECT run_key, min_by(line_key, place) AS line_key
    FROM matched
    GROUP BY run_key
)
SELECT
    runs.run_key, runs.run_id, runs.trace_id, runs.span_id, runs.started_at, runs.duration_ms,
    COALESCE(runs.thread_id, lines.thread_id) AS thread_id,
    COALESCE(runs.tenant_id, lines.tenant_id) AS tenant_id,
    COALESCE(runs.user_id, lines.user_id) AS user_id,
    COALESCE(runs.agent_name, lines.agent_name) AS agent_name,
    COALESCE(runs.feature, lines.feature) AS feature,
    lines.duration_ms AS line_duration_ms, lines.ttfb_ms, lines.outcome, lines.outcome_reason,
    lines.error_class, lines.error_message, lines.provider, lines.request_model,
    lines.response_model, lines.input_tokens, lines.output_tokens, lines.cache_read_tokens,
    lines.cache_write_tokens, lines.reasoning_tokens, lines.llm_calls,
    row_number() OVER (
        PARTITION BY chosen.line_key
        ORDER BY
            CASE WHEN runs.trace_id = lines.trace_id THEN 0 ELSE 1 END, runs.started_at,
            runs.run_key
    ) = 1 AS sums
FROM chosen
JOIN run_spans AS runs ON runs.run_key = chosen.run_key
JOIN log_runs AS lines ON lines.run_key = chosen.line_key
