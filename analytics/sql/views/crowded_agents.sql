-- Step: the agent spans of traces that have several, and which of them are outermost.
--
-- An agent span below another belongs to that one's run. Outermost siblings are runs of their own.
--
--   outermost      BOOLEAN  no agent span above it
--   runs_of_trace  BIGINT   outermost agent spans of the trace
CREATE OR REPLACE TEMP TABLE crowded_agents AS
WITH RECURSIVE
crowded AS (
    SELECT trace_id
    FROM lake_spans
    WHERE span_class = 'agent'
    GROUP BY trace_id
    HAVING MIN(span_id) <> MAX(span_id)
),
links AS (
    SELECT trace_id, span_id, span_class, MIN(parent_span_id) AS parent_span_id
    FROM lake_spans
    WHERE trace_id IN (SELECT trace_id FROM crowded)
    GROUP BY trace_id, span_id, span_class
),
-- Every span above an agent span. UNION, not UNION ALL: a loop of parents ends the climb.
above (trace_id, span_id, ancestor_id) AS (
    SELECT trace_id, span_id, parent_span_id
    FROM links
    WHERE span_class = 'agent' AND parent_span_id <> span_id
    UNION
    SELECT above.trace_id, above.span_id, links.parent_span_id
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.ancestor_id
    WHERE links.parent_span_id IS NOT NULL AND links.span_class <> 'agent'
),
nested AS (
    SELECT above.trace_id, above.span_id
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.ancestor_id
    WHERE links.span_class = 'agent'
    GROUP BY above.trace_id, above.span_id
),
marked AS (
    SELECT links.trace_id, links.span_id, nested.span_id IS NULL AS outermost
    FROM links
    LEFT JOIN nested ON nested.trace_id = links.trace_id AND nested.span_id = links.span_id
    WHERE links.span_class = 'agent'
)
SELECT
    trace_id,
    span_id,
    outermost,
    COUNT(*) FILTER (WHERE outermost) OVER (PARTITION BY trace_id) AS runs_of_trace
FROM marked
