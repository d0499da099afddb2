-- Step: the parentless root of every trace that has no agent span but a model or tool call.
--
-- Such a trace is a run of its root, once that has arrived. A trace without either is plain HTTP, and
-- no run.
CREATE OR REPLACE TEMP TABLE agentless_roots AS
WITH agentless AS (
    SELECT calls.trace_id
    FROM lake_spans AS calls
    ANTI JOIN (SELECT trace_id FROM lake_spans WHERE span_class = 'agent') AS agents
        ON agents.trace_id = calls.trace_id
    WHERE calls.span_class IN ('llm', 'tool')
    GROUP BY calls.trace_id
)
SELECT spans.trace_id, min_by(spans.span_id, spans.start_time) AS span_id
FROM lake_spans AS spans
JOIN agentless ON agentless.trace_id = spans.trace_id
WHERE spans.parent_span_id IS NULL
GROUP BY spans.trace_id
