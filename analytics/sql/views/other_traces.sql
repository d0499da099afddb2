-- Step: the traces whose runs one span does not tell all of that brief_run_starts asks.
--
-- In every other trace the only agent span is the run: it is below no node and has the tenant that any
-- span of the trace names. Listed are traces that are not like this, those of which a line may say
-- more, those of which a trace without an agent may be the echo (agentless_roots, stray_calls), and those
-- that began before the range (earlier_spans).
CREATE OR REPLACE TEMP TABLE other_traces AS
WITH
unlike AS (
    SELECT trace_id, COUNT(*) FILTER (WHERE span_class = 'agent') AS agent_spans
    FROM lake_spans
    GROUP BY trace_id
    HAVING COUNT(*) FILTER (WHERE span_class = 'agent') > 1
        OR (
            COUNT(*) FILTER (WHERE span_class = 'agent') = 0
            AND COUNT(*) FILTER (WHERE span_class IN ('llm', 'tool')) > 0
        )
        OR (
            COUNT(parent_span_id) FILTER (WHERE span_class = 'agent') > 0
            AND COUNT(*) FILTER (WHERE span_class = 'node') > 0
        )
        OR MIN(tenant_id) <> MAX(tenant_id)
        OR (COUNT(tenant_id) > 0 AND COUNT(tenant_id) FILTER (WHERE span_class = 'agent') = 0)
),
responses AS (
    SELECT response_id
    FROM lake_spans
    WHERE span_class = 'llm' AND response_id IS NOT NULL
      AND trace_id IN (SELECT trace_id FROM unlike WHERE agent_spans = 0)
),
services AS (
    SELECT COALESCE(service_name, '') AS service_name
    FROM lake_spans
    WHERE span_class = 'llm'
    GROUP BY COALESCE(service_name, '')
    HAVING MIN(scope_name) <> MAX(scope_name)
),
strays AS (
    SELECT
        COALESCE(service_name, '') AS service_name,
        CAST(floor(epoch_us(start_time) / 1000000) AS BIGINT) AS second
    FROM lake_spans
    WHERE span_class = 'llm' AND parent_span_id IS NULL
      AND COALESCE(service_name, '') IN (SELECT service_name FROM services)
      AND trace_id IN (SELECT trace_id FROM unlike WHERE agent_spans = 0)
),
-- By any of these a line finds a run (thread_runs, run_summaries, log_only_runs).
names AS (
    SELECT run_id AS name
    FROM log_facts
    WHERE span_class IN ('agent', 'llm', 'tool', 'node') AND run_id IS NOT NULL
    UNION
    SELECT trace_id
    FROM log_facts
    WHERE span_class IN ('agent', 'llm', 'tool', 'node') AND trace_id IS NOT NULL
    UNION
    SELECT thread_id
    FROM log_facts
    WHERE span_class IN ('agent', 'llm', 'tool', 'node') AND thread_id IS NOT NULL
)
SELECT trace_id FROM unlike
UNION
SELECT trace_id FROM earlier_spans
UNION
SELECT trace_id
FROM lake_spans
WHERE span_class = 'llm' AND response_id IN (SELECT response_id FROM responses)
UNION
SELECT calls.trace_id
FROM lake_spans AS calls
SEMI JOIN strays
    ON strays.service_name = COALESCE(calls.service_name, '')
    AND strays.second - CAST(floor(epoch_us(calls.start_time) / 1000000) AS BIGINT) IN (0, 1)
WHERE calls.span_class = 'llm'
UNION
SELECT trace_id FROM lake_spans WHERE trace_id IN (SELECT name FROM names)
UNION
SELECT trace_id FROM lake_spans WHERE run_id IN (SELECT name FROM names)
UNION
SELECT trace_id FROM lake_spans WHERE thread_id IN (SELECT name FROM names)
