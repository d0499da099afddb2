-- Which runs were seen in only one of spans and log lines, and why, most likely?
--
-- Lines of a run are its summary and those of its model and tool calls.
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  runs with since <= started_at < until; until is also now
--   $tenant          VARCHAR      only this tenant; NULL = all
--
-- Columns (newest first):
--   run_id      VARCHAR
--   trace_id    VARCHAR
--   tenant_id   VARCHAR
--   agent_name  VARCHAR
--   started_at  TIMESTAMPTZ  UTC
--   seen_in     VARCHAR      spans or logs
--   reason      VARCHAR      what most likely became of the other side
WITH
said AS (
    SELECT run_id, trace_id, agent_name
    FROM run_lines
    WHERE span_class IN ('agent', 'llm', 'tool')
),
logging AS (
    SELECT COALESCE(agent_name, '') AS agent_name FROM said GROUP BY COALESCE(agent_name, '')
),
tracing AS (
    SELECT COALESCE(agent_name, '') AS agent_name
    FROM run_spans
    GROUP BY COALESCE(agent_name, '')
),
one_sided AS (
    SELECT
        runs.run_id, runs.trace_id, runs.tenant_id, runs.agent_name, runs.started_at,
        runs.ended_at, 'spans' AS seen_in,
        CASE
            WHEN logging.agent_name IS NULL THEN 'its agent sent no lines at all'
            ELSE 'its lines were lost'
        END AS likely
    FROM run_spans AS runs
    ANTI JOIN said AS named ON named.run_id = runs.run_id
    ANTI JOIN said AS traced ON traced.trace_id = runs.trace_id
    LEFT JOIN logging ON logging.agent_name = COALESCE(runs.agent_name, '')
    UNION ALL
    SELECT
        COALESCE(runs.run_id, runs.run_key) AS run_id, runs.trace_id, runs.tenant_id,
        runs.agent_name, runs.started_at, runs.ended_at, 'logs' AS seen_in,
        CASE
            WHEN traces.trace_id IS NOT NULL
                THEN 'its own span was lost, others of its trace were not'
            WHEN tracing.agent_name IS NULL THEN 'its agent sent no spans at all'
            ELSE 'its trace was sampled away or lost'
        END AS likely
    FROM log_only_runs AS runs
    LEFT JOIN tracing ON tracing.agent_name = COALESCE(runs.agent_name, '')
    LEFT JOIN (SELECT trace_id FROM lake_spans GROUP BY trace_id) AS traces
        ON traces.trace_id = runs.trace_id
)
SELECT
    run_id, trace_id, tenant_id, agent_name, started_at, seen_in,
    CASE
        WHEN ended_at > $until - INTERVAL '1' MINUTE THEN 'the other side may not have arrived yet'
        ELSE likely
    END AS reason
FROM one_sided
WHERE started_at >= $since
  AND started_at < $until
  AND ($tenant IS NULL OR tenant_id = $tenant)
ORDER BY started_at DESC, run_id
