-- Step: the root of every trace that has no agent span but a model or tool call.
--
-- Such a trace is a run of its root, once that has arrived: the span without a parent, or the server
-- span whose parent is in a system that does not report here. Where for an hour no span of it has come,
-- its root will not either, because only calls are sent here, say: of the topmost spans the last model
-- call is the run then, as which it ended, else the first span. A trace without a model or tool call is
-- plain HTTP, and no run; nor is one whose every call is an echo of a call in another trace, such as
-- the gateway's own trace of it where the context was not passed on.
--
-- An echo has the response_id of the other, within a minute, and is told by another instrumentation
-- or service: one tells each request once. Of two traces without an agent the later is the echo. So is
-- the trace of a stray call (stray_calls).
CREATE OR REPLACE TEMP TABLE agentless_roots AS
WITH
candidates AS (
    SELECT trace_id, 'llm' AS span_class
    FROM trace_identity
    WHERE agent_spans = 0 AND call_spans > 0
),
-- Where no trace is a candidate nothing is read.
responses AS (
    SELECT response_id
    FROM span_facts
    WHERE span_class = 'llm' AND response_id IS NOT NULL
      AND span_class IN (SELECT span_class FROM candidates)
    GROUP BY response_id
    HAVING MIN(trace_id) <> MAX(trace_id)
),
told AS (
    SELECT
        calls.trace_id, calls.span_id, calls.start_time, calls.response_id,
        calls.service_name || '/' || calls.scope_name AS told_by,
        traces.agent_spans > 0 AS in_agent_run
    FROM span_facts AS calls
    SEMI JOIN responses ON responses.response_id = calls.response_id
    JOIN trace_identity AS traces ON traces.trace_id = calls.trace_id
    WHERE calls.span_class = 'llm'
),
echoes AS (
    SELECT told.trace_id, told.span_id
    FROM told
    JOIN told AS others
        ON others.response_id = told.response_id
        AND others.trace_id <> told.trace_id
        AND COALESCE(others.told_by <> told.told_by, TRUE)
        AND (
            others.in_agent_run
            OR others.start_time < told.start_time
            OR (others.start_time = told.start_time AND others.trace_id < told.trace_id)
        )
        AND others.start_time >= told.start_time - INTERVAL '1' MINUTE
        AND others.start_time <= told.start_time + INTERVAL '1' MINUTE
    WHERE NOT told.in_agent_run
    GROUP BY told.trace_id, told.span_id
),
other_calls AS (
    SELECT calls.trace_id
    FROM span_facts AS calls
    ANTI JOIN echoes ON echoes.trace_id = calls.trace_id AND echoes.span_id = calls.span_id
    WHERE calls.span_class IN ('llm', 'tool')
      AND calls.trace_id IN (SELECT trace_id FROM echoes)
),
agentless AS (
    SELECT trace_id FROM candidates
    EXCEPT
    (SELECT trace_id FROM echoes EXCEPT SELECT trace_id FROM other_calls)
    EXCEPT
    SELECT trace_id FROM stray_calls
),
roots AS (
    SELECT spans.trace_id, min_by(spans.span_id, spans.start_time) AS span_id
    FROM span_facts AS spans
    JOIN agentless ON agentless.trace_id = spans.trace_id
    WHERE spans.parent_span_id IS NULL
    GROUP BY spans.trace_id
),
rootless AS (
    SELECT trace_id FROM agentless EXCEPT SELECT trace_id FROM roots
),
links AS (
    SELECT
        spans.trace_id, spans.span_id, spans.parent_span_id, spans.kind, spans.span_class,
        spans.start_time
    FROM span_facts AS spans
    SEMI JOIN rootless ON rootless.trace_id = spans.trace_id
),
given_up AS (
    SELECT spans.trace_id
    FROM span_facts AS spans
    SEMI JOIN rootless ON rootless.trace_id = spans.trace_id
    ANTI JOIN log_facts AS lines
        ON lines.trace_id = spans.trace_id AND lines.span_class = 'agent'
    GROUP BY spans.trace_id
    HAVING MAX(spans.received_at) < (SELECT time - INTERVAL '1' HOUR FROM asked)
),
topmost AS (
    SELECT
        links.trace_id,
        min_by(links.span_id, links.start_time)
            FILTER (WHERE links.kind IN ('server', 'consumer')) AS server_id,
        max_by(links.span_id, links.start_time) FILTER (WHERE links.span_class = 'llm')
            AS last_call_id,
        min_by(links.span_id, links.start_time) AS first_id
    FROM links
    ANTI JOIN links AS parents
        ON parents.trace_id = links.trace_id AND parents.span_id = links.parent_span_id
    GROUP BY links.trace_id
)
SELECT trace_id, span_id
FROM roots
UNION ALL
SELECT trace_id, server_id AS span_id
FROM topmost
WHERE server_id IS NOT NULL
UNION ALL
SELECT topmost.trace_id, COALESCE(topmost.last_call_id, topmost.first_id) AS span_id
FROM topmost
SEMI JOIN given_up ON given_up.trace_id = topmost.trace_id
WHERE topmost.server_id IS NULL
