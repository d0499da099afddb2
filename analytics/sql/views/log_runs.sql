-- Step: the summary line (span_class agent, such as `agent.run`) of every run, one row per run.
--
-- The line is written when the run ends; one that names neither run nor trace: see thread_runs. A run
-- whose line came twice, or on two ways (OTLP and a log file), is one run. Of a duration that cannot be
-- true (negative, over a year) nothing is concluded: the run is placed where its line was written.
CREATE OR REPLACE TEMP TABLE log_runs AS
SELECT
    COALESCE(run_id, trace_id, log_id) AS run_key,
    run_id,
    trace_id,
    span_id,
    thread_id,
    tenant_id,
    user_id,
    agent_name,
    service_name,
    COALESCE(feature, agent_name) AS feature,
    -- Within its bounds even where CASE rules it out: engines may compute a branch for every row.
    CASE
        WHEN duration_ms BETWEEN 0 AND 31536000000 THEN
            time - INTERVAL '1' SECOND * (GREATEST(LEAST(duration_ms, 31536000000), 0) / 1000)
        ELSE time
    END AS started_at,
    time AS ended_at,
    duration_ms,
    ttfb_ms,
    outcome,
    outcome_reason,
    error_class,
    error_message,
    provider,
    request_model,
    response_model,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_write_tokens,
    reasoning_tokens,
    llm_calls,
    tool_calls,
    tool_errors
FROM run_lines
WHERE span_class = 'agent'
QUALIFY row_number() OVER (
    PARTITION BY COALESCE(run_id, trace_id, log_id) ORDER BY time DESC, log_id
) = 1
