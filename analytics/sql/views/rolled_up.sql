-- Step: the spans below a span whose usage counts (see rollup_spans).
--
-- What a model call among them used is in that sum, though it does not report any itself.
CREATE OR REPLACE TEMP TABLE rolled_up AS
WITH RECURSIVE
links AS (
    SELECT trace_id, span_id, parent_span_id
    FROM span_facts
    WHERE trace_id IN (SELECT trace_id FROM rollup_spans)
),
-- UNION ends loops.
below (trace_id, span_id) AS (
    SELECT links.trace_id, links.span_id
    FROM links
    JOIN rollup_spans AS sums
        ON sums.trace_id = links.trace_id AND sums.span_id = links.parent_span_id
    UNION
    SELECT links.trace_id, links.span_id
    FROM below
    JOIN links ON links.trace_id = below.trace_id AND links.parent_span_id = below.span_id
)
SELECT trace_id, span_id FROM below
