-- Step: runs known from their summary line alone; a run that left spans is counted by its spans.
--
-- Model and tool calls that did leave spans (the run's own span was lost) belong to it by its trace.
CREATE OR REPLACE TEMP TABLE log_only_runs AS
SELECT
    log_runs.* REPLACE (
        CASE
            WHEN COUNT(*) OVER (PARTITION BY log_runs.trace_id) = 1
                THEN COALESCE(log_runs.trace_id, log_runs.run_key)
            ELSE log_runs.run_key
        END AS run_key
    )
FROM log_runs
ANTI JOIN (SELECT run_id FROM lake_spans WHERE span_class = 'agent') AS agents
    ON agents.run_id = log_runs.run_id
ANTI JOIN (
    SELECT trace_id FROM lake_spans WHERE span_class = 'agent'
    UNION ALL
    SELECT trace_id FROM agentless_roots
) AS traces ON traces.trace_id = log_runs.trace_id
