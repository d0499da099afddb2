-- Step: how each run that called a tool counts for tool errors.
--
-- An error that a later call of the same tool made good did not surface. A summary line counts
-- failed calls but does not say whether one was made good: where it is all there is (summed_tools), a
-- failed call surfaced.
--
--   verdict  VARCHAR  good: the last call of every tool it called succeeded
--                     bad: the last call of some tool failed (the error surfaced)
--                     missing: tools were called, but it is not known whether a call failed
CREATE OR REPLACE TEMP VIEW run_tools AS
WITH calls AS (
    SELECT
        run_id, tenant_id, started_at, outcome,
        row_number() OVER (
            PARTITION BY run_id, tool_name ORDER BY started_at DESC, span_id DESC
        ) AS from_last
    FROM tool_calls
    WHERE run_id IS NOT NULL
)
SELECT
    run_id,
    MIN(tenant_id) AS tenant_id,
    MIN(started_at) AS started_at,
    CASE
        WHEN COUNT(*) FILTER (WHERE from_last = 1 AND outcome = 'error') > 0 THEN 'bad'
        ELSE 'good'
    END AS verdict
FROM calls
GROUP BY run_id
UNION ALL
SELECT
    run_id,
    tenant_id,
    started_at,
    CASE
        WHEN tool_errors IS NULL THEN 'missing'
        WHEN tool_errors > 0 THEN 'bad'
        ELSE 'good'
    END AS verdict
FROM summed_tools
