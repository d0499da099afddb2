-- Step: the runs of traces whose agent spans are nested or several; of the others few are listed.
--
-- The run of an agent span is the topmost agent or node span above it, or itself: an agent below
-- another belongs to that one's run, and a LangGraph node that an instrumentation takes for an agent
-- belongs to the graph's. Topmost spans side by side are runs of their own.
--
--   span_id        VARCHAR  the span that is the run
--   runs_of_trace  BIGINT   how many the trace has
CREATE OR REPLACE TEMP TABLE outermost_agents AS
WITH RECURSIVE
crowded AS (
    SELECT trace_id FROM trace_identity WHERE agent_spans > 1
    UNION
    SELECT agents.trace_id
    FROM span_facts AS agents
    JOIN span_facts AS nodes
        ON nodes.trace_id = agents.trace_id AND nodes.span_id = agents.parent_span_id
    WHERE agents.span_class = 'agent' AND nodes.span_class = 'node'
),
links AS (
    SELECT trace_id, span_id, span_class, MIN(parent_span_id) AS parent_span_id
    FROM span_facts
    WHERE trace_id IN (SELECT trace_id FROM crowded)
    GROUP BY trace_id, span_id, span_class
),
-- An agent span and every span above it. Parents that go in a circle end at the height limit.
above (trace_id, agent_id, span_id, parent_span_id, span_class, height) AS (
    SELECT trace_id, span_id, span_id, parent_span_id, span_class, 0
    FROM links
    WHERE span_class = 'agent'
    UNION ALL
    SELECT
        links.trace_id, above.agent_id, links.span_id, links.parent_span_id, links.span_class,
        above.height + 1
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.parent_span_id
    WHERE above.height < 100
),
topmost AS (
    SELECT trace_id, agent_id, max_by(span_id, height) AS span_id
    FROM above
    WHERE span_class IN ('agent', 'node')
    GROUP BY trace_id, agent_id
),
runs AS (
    SELECT trace_id, span_id FROM topmost GROUP BY trace_id, span_id
)
SELECT trace_id, span_id, COUNT(*) OVER (PARTITION BY trace_id) AS runs_of_trace
FROM runs
