-- Step: which run a span belongs to, for traces with several runs only.
--
-- In every other trace the run_key is the trace_id. A span that is below none of the runs of such a
-- trace is not listed and belongs to no run.
CREATE OR REPLACE VIEW run_members AS
WITH RECURSIVE
several AS (
    SELECT run_key, trace_id, span_id FROM run_spans WHERE run_key <> trace_id
),
links AS (
    SELECT trace_id, span_id, parent_span_id
    FROM lake_spans
    WHERE parent_span_id IS NOT NULL
      AND trace_id IN (SELECT trace_id FROM several)
),
below (run_key, trace_id, span_id) AS (
    SELECT run_key, trace_id, span_id FROM several
    UNION
    SELECT below.run_key, links.trace_id, links.span_id
    FROM below
    JOIN links ON links.trace_id = below.trace_id AND links.parent_span_id = below.span_id
)
SELECT run_key, trace_id, span_id FROM below
