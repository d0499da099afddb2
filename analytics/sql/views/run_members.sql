-- Step: which run a span belongs to, for the spans of traces with several runs only.
--
-- In every other trace the run_key is the trace_id and trace_identity says whose it was. A span that
-- is below none of the runs of such a trace has no run: all but its ids is NULL.
CREATE OR REPLACE TEMP TABLE run_members AS
WITH RECURSIVE
links AS (
    SELECT trace_id, span_id, parent_span_id, tenant_id, user_id, thread_id, run_id, agent_name,
        feature
    FROM lake_spans
    WHERE trace_id IN (SELECT trace_id FROM outermost_agents WHERE runs_of_trace > 1)
),
below (trace_id, span_id, root_id) AS (
    SELECT trace_id, span_id, span_id
    FROM outermost_agents
    WHERE runs_of_trace > 1
    UNION
    SELECT links.trace_id, links.span_id, below.root_id
    FROM below
    JOIN links ON links.trace_id = below.trace_id AND links.parent_span_id = below.span_id
)
SELECT
    links.trace_id,
    links.span_id,
    MIN(root.trace_id || '/' || root.span_id) AS run_key,
    MIN(COALESCE(root.run_id, root.trace_id || '/' || root.span_id)) AS run_id,
    MIN(root.tenant_id) AS tenant_id,
    MIN(root.user_id) AS user_id,
    MIN(root.thread_id) AS thread_id,
    MIN(root.agent_name) AS agent_name,
    MIN(root.feature) AS feature
FROM links
LEFT JOIN below ON below.trace_id = links.trace_id AND below.span_id = links.span_id
LEFT JOIN links AS root ON root.trace_id = below.trace_id AND root.span_id = below.root_id
GROUP BY links.trace_id, links.span_id
