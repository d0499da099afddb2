-- Step: what lies below a model span and may report its usage again.
--
-- The gateway's model span lies below the SDK's, that of the SDK below the framework's, with HTTP
-- spans, nodes or the agent of another service between. What a tool did is no part of the response
-- that asked for it: the way down ends there. A span below nothing of interest is left out.
--
-- Most often it is the end of the way. Only where something lies below that too is the recursion needed,
-- which has to be held in memory.
CREATE OR REPLACE TEMP TABLE inside_calls AS
WITH RECURSIVE
parents AS (
    SELECT trace_id, parent_span_id AS span_id
    FROM span_facts
    WHERE span_class <> 'tool' AND parent_span_id IS NOT NULL
    GROUP BY trace_id, parent_span_id
),
wrappers AS (
    SELECT calls.trace_id, calls.span_id
    FROM span_facts AS calls
    SEMI JOIN parents ON parents.trace_id = calls.trace_id AND parents.span_id = calls.span_id
    WHERE calls.span_class = 'llm'
),
children AS (
    SELECT
        inner_spans.trace_id, inner_spans.parent_span_id AS outer_id, inner_spans.span_id,
        inner_spans.span_class = 'llm' OR inner_spans.input_tokens IS NOT NULL
            OR inner_spans.output_tokens IS NOT NULL AS tells
    FROM span_facts AS inner_spans
    SEMI JOIN wrappers
        ON wrappers.trace_id = inner_spans.trace_id
        AND wrappers.span_id = inner_spans.parent_span_id
    WHERE inner_spans.span_class <> 'tool'
      AND inner_spans.parent_span_id <> inner_spans.span_id
),
passages AS (
    SELECT children.trace_id, children.outer_id, children.span_id
    FROM children
    SEMI JOIN parents
        ON parents.trace_id = children.trace_id AND parents.span_id = children.span_id
),
links AS (
    SELECT trace_id, span_id, parent_span_id
    FROM span_facts
    WHERE span_class <> 'tool' AND parent_span_id IS NOT NULL
      AND trace_id IN (SELECT trace_id FROM passages)
),
-- UNION ends loops.
below (trace_id, outer_id, span_id) AS (
    SELECT trace_id, outer_id, span_id FROM passages
    UNION
    SELECT below.trace_id, below.outer_id, links.span_id
    FROM below
    JOIN links ON links.trace_id = below.trace_id AND links.parent_span_id = below.span_id
)
SELECT trace_id, outer_id, span_id FROM children WHERE tells
UNION
SELECT trace_id, outer_id, span_id FROM below WHERE outer_id <> span_id
