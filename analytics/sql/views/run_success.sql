-- Step: how each run counts for stream success.
--
--   verdict  VARCHAR  good: the user got the whole answer
--                     bad: an error, a timeout, a limit, or a shutdown that cut the run off
--                     excluded: the client left, a human was asked, or a shutdown whose thread went
--                     on within 10 minutes
--                     missing: the run did not say how it ended
CREATE OR REPLACE TEMP VIEW run_success AS
WITH followed AS (
    SELECT
        run_id, tenant_id, thread_id, started_at, ended_at, outcome, outcome_reason,
        LEAD(started_at) OVER (
            PARTITION BY COALESCE(tenant_id, ''), thread_id ORDER BY started_at, run_id
        ) AS next_started_at
    FROM runs
)
SELECT
    run_id,
    tenant_id,
    started_at,
    CASE
        WHEN outcome IS NULL THEN 'missing'
        WHEN outcome = 'success' THEN 'good'
        WHEN outcome_reason IN ('client_disconnect', 'human') THEN 'excluded'
        WHEN outcome = 'interrupt' AND outcome_reason IS NULL THEN 'excluded'
        WHEN outcome = 'interrupt' AND outcome_reason = 'shutdown'
            AND thread_id IS NOT NULL
            AND next_started_at <= ended_at + INTERVAL '10' MINUTE THEN 'excluded'
        ELSE 'bad'
    END AS verdict
FROM followed
