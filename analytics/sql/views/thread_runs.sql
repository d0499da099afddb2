-- Step: the run of every line that names neither run nor trace but only its thread; or a run by a name
-- that the spans of its agent do not know.
--
-- Where a run of the thread that left spans was on when the line was written, the line is its. Else a
-- summary is written when its run ends: what the thread said since the summary before, and since this
-- run began if the summary says how long it took, is of that run. A line after the last summary is of
-- none: its run is not over, or was killed.
--
-- So runs of one thread at the same time cannot be told apart: their lines go to the one that ends next.
-- They need a run_id or a trace. What Claude Code calls a prompt (`prompt.id`) stands on its lines alone:
-- where one of them was written while a run was on whose spans name none, all of them are of that run.
-- Without a tenant a line is of the tenant that others of the thread name if that is one.
--
--   run_id    VARCHAR  the run as its span or summary names it; else the summary's log_id
--   trace_id  VARCHAR  of a run that left spans
CREATE OR REPLACE TEMP TABLE thread_runs AS
WITH
told AS (
    SELECT
        log_id, span_class, run_id, trace_id, thread_id, tenant_id, time, duration_ms,
        run_id IS NULL AND trace_id IS NULL AS unnamed,
        run_id IS NOT NULL AND trace_id IS NULL
            AND run_id NOT IN (SELECT run_id FROM run_spans) AS astray
    FROM log_facts
    WHERE span_class IN ('agent', 'llm', 'tool', 'node')
      AND thread_id IN (
          SELECT thread_id
          FROM log_facts
          WHERE span_class IN ('agent', 'llm', 'tool', 'node')
            AND thread_id IS NOT NULL AND run_id IS NULL AND trace_id IS NULL
          UNION ALL
          SELECT thread_id FROM run_spans WHERE thread_id IS NOT NULL AND run_id = trace_id
      )
),
tenants AS (
    SELECT thread_id, MIN(tenant_id) AS tenant_id
    FROM told
    GROUP BY thread_id
    HAVING MIN(tenant_id) = MAX(tenant_id)
),
said AS (
    SELECT
        told.log_id, told.span_class, told.run_id, told.trace_id, told.thread_id, told.time,
        told.duration_ms, told.unnamed, told.astray,
        COALESCE(told.tenant_id, tenants.tenant_id, '') AS tenant_id
    FROM told
    LEFT JOIN tenants ON tenants.thread_id = told.thread_id
),
meanwhile AS (
    SELECT said.log_id, said.astray, said.run_id AS called, runs.run_id, runs.trace_id
    FROM said
    JOIN run_spans AS runs
        ON runs.thread_id = said.thread_id
        AND (said.tenant_id = '' OR COALESCE(runs.tenant_id, said.tenant_id) = said.tenant_id)
        AND runs.started_at <= said.time
        AND runs.ended_at + INTERVAL '1' SECOND >= said.time
    WHERE said.unnamed OR (said.astray AND runs.run_id = runs.trace_id)
    QUALIFY row_number() OVER (
        PARTITION BY said.log_id
        ORDER BY
            CASE
                WHEN said.span_class = 'agent'
                    THEN ABS(date_diff('microsecond', runs.ended_at, said.time))
                ELSE date_diff('microsecond', runs.started_at, said.time)
            END,
            runs.run_id
    ) = 1
),
in_spans AS (
    SELECT log_id, run_id, trace_id FROM meanwhile WHERE NOT astray
    UNION ALL
    SELECT said.log_id, named.run_id, named.trace_id
    FROM said
    JOIN (
        SELECT called, MIN(run_id) AS run_id, MIN(trace_id) AS trace_id
        FROM meanwhile
        WHERE astray
        GROUP BY called
    ) AS named ON named.called = said.run_id
    WHERE said.astray
),
-- A summary that came twice, or on two ways, has the same time.
summaries AS (
    SELECT
        thread_id, tenant_id, time,
        COALESCE(MIN(run_id), MIN(trace_id), MIN(log_id)) AS run_id,
        MAX(duration_ms) AS duration_ms
    FROM said
    WHERE span_class = 'agent'
    GROUP BY thread_id, tenant_id, time
),
-- Counted backwards, lines have the number of the summary that comes next.
numbered AS (
    SELECT
        log_id, thread_id, tenant_id, time, run_id, duration_ms,
        SUM(ends) OVER (
            PARTITION BY thread_id, tenant_id
            ORDER BY time DESC, ends DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS place
    FROM (
        SELECT
            NULL AS log_id, thread_id, tenant_id, time, run_id, duration_ms, 1 AS ends
        FROM summaries
        UNION ALL
        SELECT log_id, thread_id, tenant_id, time, NULL AS run_id, NULL AS duration_ms, 0 AS ends
        FROM said
        WHERE unnamed
    ) AS in_order
),
by_summary AS (
    SELECT lines.log_id, ending.run_id
    FROM numbered AS lines
    JOIN numbered AS ending
        ON ending.thread_id = lines.thread_id AND ending.tenant_id = lines.tenant_id
        AND ending.place = lines.place AND ending.log_id IS NULL
    ANTI JOIN in_spans ON in_spans.log_id = lines.log_id
    WHERE lines.log_id IS NOT NULL
      -- As in log_runs; a millisecond, for durations are rounded.
      AND NOT COALESCE(
          ending.duration_ms BETWEEN 0 AND 31536000000
          AND date_diff('microsecond', lines.time, ending.time) / 1000 > ending.duration_ms + 1,
          FALSE
      )
)
SELECT log_id, MIN(run_id) AS run_id, MIN(trace_id) AS trace_id
FROM (
    SELECT log_id, run_id, trace_id FROM in_spans
    UNION ALL
    SELECT log_id, run_id, NULL AS trace_id FROM by_summary
) AS found
GROUP BY log_id
