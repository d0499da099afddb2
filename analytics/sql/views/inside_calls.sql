-- Step: what lies below a model span and may report its usage again.
--
-- The gateway's model span lies below the SDK's, that of the SDK below the framework's, with HTTP
-- spans, nodes or the agent of another service between. What a tool did is no part of the response
-- that asked for it: the way down ends there. A span below nothing of interest is left out.
CREATE OR REPLACE TEMP TABLE inside_calls AS
WITH RECURSIVE
entries AS (
    SELECT trace_id, parent_span_id AS outer_id, span_id
    FROM lake_spans
    WHERE span_class <> 'tool'
      AND parent_span_id IN (SELECT span_id FROM lake_spans WHERE span_class = 'llm')
      AND (
          span_class = 'llm' OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL
          OR span_id IN (SELECT parent_span_id FROM lake_spans WHERE span_class <> 'tool')
      )
),
links AS (
    SELECT trace_id, span_id, parent_span_id
    FROM lake_spans
    WHERE span_class <> 'tool' AND parent_span_id IS NOT NULL
      AND trace_id IN (SELECT trace_id FROM entries)
),
-- UNION ends loops.
below (trace_id, outer_id, span_id) AS (
    SELECT entries.trace_id, entries.outer_id, entries.span_id
    FROM entries
    JOIN lake_spans AS calls
        ON calls.trace_id = entries.trace_id AND calls.span_id = entries.outer_id
    WHERE calls.span_class = 'llm'
    UNION
    SELECT below.trace_id, below.outer_id, links.span_id
    FROM below
    JOIN links ON links.trace_id = below.trace_id AND links.parent_span_id = below.span_id
)
SELECT trace_id, outer_id, span_id
FROM below
WHERE outer_id <> span_id
