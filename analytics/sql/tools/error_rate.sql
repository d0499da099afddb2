-- Which tools fail, for whom, and does it reach the user?
--
-- Parameters:
--   $since, $until   TIMESTAMPTZ  calls with since <= started_at < until
--   $tenant          VARCHAR      only this tenant; NULL = all
--   $by              VARCHAR      what to break down by, comma-separated, any of: tool, tenant,
--                                 agent, error; such as 'tool,tenant'
--
-- Runs whose summary line alone tells of tool calls count with no tool named; each with a failed call
-- surfaced, for it is not known whether that was made good.
--
-- Columns (a column that was not asked for in $by is NULL; most errors first):
--   tool_name      VARCHAR  NULL also where only a sum is known
--   tenant_id      VARCHAR
--   agent_name     VARCHAR
--   error_class    VARCHAR  class of the error; NULL for calls that did not fail
--   calls          BIGINT   tool calls, each try counted
--   errors         BIGINT   calls that failed
--   error_rate     DOUBLE   errors / calls, 0 to 1
--   runs           BIGINT   runs that called the tool
--   surfaced       BIGINT   runs whose last call of the tool failed
--   surfaced_rate  DOUBLE   surfaced / runs, 0 to 1; NULL without runs
WITH calls AS (
    SELECT
        CASE WHEN ',' || $by || ',' LIKE '%,tool,%' THEN tool_name END AS tool_name,
        CASE WHEN ',' || $by || ',' LIKE '%,tenant,%' THEN tenant_id END AS tenant_id,
        CASE WHEN ',' || $by || ',' LIKE '%,agent,%' THEN agent_name END AS agent_name,
        CASE WHEN ',' || $by || ',' LIKE '%,error,%' THEN error_class END AS error_class,
        outcome,
        run_id,
        CASE
            WHEN run_id IS NOT NULL THEN row_number() OVER (
                PARTITION BY run_id, tool_name ORDER BY started_at DESC, span_id DESC
            )
        END AS from_last
    FROM tool_calls
    WHERE started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
),
counted AS (
    SELECT
        tool_name, tenant_id, agent_name, error_class,
        COUNT(*) AS calls,
        COUNT(*) FILTER (WHERE outcome = 'error') AS errors,
        COUNT(DISTINCT run_id) AS runs,
        COUNT(DISTINCT CASE WHEN from_last = 1 AND outcome = 'error' THEN run_id END) AS surfaced
    FROM calls
    GROUP BY tool_name, tenant_id, agent_name, error_class
    UNION ALL
    SELECT
        NULL AS tool_name,
        CASE WHEN ',' || $by || ',' LIKE '%,tenant,%' THEN tenant_id END AS tenant_id,
        CASE WHEN ',' || $by || ',' LIKE '%,agent,%' THEN agent_name END AS agent_name,
        NULL AS error_class,
        tool_calls AS calls,
        tool_errors AS errors,
        1 AS runs,
        CASE WHEN tool_errors > 0 THEN 1 ELSE 0 END AS surfaced
    FROM summed_tools
    WHERE tool_errors IS NOT NULL
      AND started_at >= $since
      AND started_at < $until
      AND ($tenant IS NULL OR tenant_id = $tenant)
),
added AS (
    SELECT
        tool_name, tenant_id, agent_name, error_class,
        TRY_CAST(SUM(calls) AS BIGINT) AS calls,
        TRY_CAST(SUM(errors) AS BIGINT) AS errors,
        TRY_CAST(SUM(runs) AS BIGINT) AS runs,
        TRY_CAST(SUM(surfaced) AS BIGINT) AS surfaced
    FROM counted
    GROUP BY tool_name, tenant_id, agent_name, error_class
)
SELECT
    tool_name, tenant_id, agent_name, error_class, calls, errors,
    CAST(errors AS DOUBLE) / calls AS error_rate,
    runs, surfaced,
    CAST(surfaced AS DOUBLE) / NULLIF(runs, 0) AS surfaced_rate
FROM added
ORDER BY errors DESC, calls DESC, tool_name, tenant_id, agent_name, error_class
