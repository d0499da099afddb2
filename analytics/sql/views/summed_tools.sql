-- Step: runs whose tool calls are known in sum only: the summary line counts them, no span or line tells
-- of one. A run of which any is told is not here, so that nothing is counted twice.
--
--   tool_errors  BIGINT  how many of tool_calls failed; NULL if the summary does not say
CREATE OR REPLACE TEMP VIEW summed_tools AS
SELECT
    COALESCE(runs.run_id, runs.run_key) AS run_id, runs.tenant_id, runs.agent_name,
    runs.started_at, runs.tool_calls,
    CASE
        WHEN runs.tool_errors > runs.tool_calls THEN runs.tool_calls ELSE runs.tool_errors
    END AS tool_errors
FROM log_only_runs AS runs
ANTI JOIN tool_spans ON tool_spans.run_key = runs.run_key
WHERE runs.tool_calls > 0
