-- Step: the span that is a run, one row per agent request that left spans.
--
-- A run is the outermost agent span of a trace: agent spans below another agent span belong to it,
-- outermost siblings are runs of their own. A trace without an agent span is a run of its parentless
-- root, once that has arrived and only if the trace holds a model or tool call: plain HTTP is no run.
--
-- run_key joins a run to its spans: the trace_id, or trace_id/span_id where a trace has several runs
-- (see run_members).
--
-- The recursion sees only traces with several agent spans.
CREATE OR REPLACE VIEW run_spans AS
WITH RECURSIVE
agents AS (
    SELECT trace_id, span_id, parent_span_id
    FROM lake_spans
    WHERE span_class = 'agent'
    GROUP BY trace_id, span_id, parent_span_id
),
crowded AS (
    SELECT trace_id FROM agents GROUP BY trace_id HAVING COUNT(*) > 1
),
links AS (
    SELECT trace_id, span_id, parent_span_id
    FROM lake_spans
    WHERE parent_span_id IS NOT NULL
      AND trace_id IN (SELECT trace_id FROM crowded)
),
-- Every span above an agent span. UNION, not UNION ALL: a loop of parents ends the climb.
above (trace_id, span_id, ancestor_id) AS (
    SELECT trace_id, span_id, parent_span_id
    FROM agents
    WHERE parent_span_id <> span_id
      AND trace_id IN (SELECT trace_id FROM crowded)
    UNION
    SELECT above.trace_id, above.span_id, links.parent_span_id
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.ancestor_id
),
nested AS (
    SELECT above.trace_id, above.span_id
    FROM above
    JOIN agents ON agents.trace_id = above.trace_id AND agents.span_id = above.ancestor_id
),
outermost AS (
    SELECT agents.trace_id, agents.span_id
    FROM agents
    ANTI JOIN nested ON nested.trace_id = agents.trace_id AND nested.span_id = agents.span_id
),
agentless AS (
    SELECT calls.trace_id
    FROM lake_spans AS calls
    ANTI JOIN agents ON agents.trace_id = calls.trace_id
    WHERE calls.span_class IN ('llm', 'tool')
    GROUP BY calls.trace_id
),
roots AS (
    SELECT spans.trace_id, min_by(spans.span_id, spans.start_time) AS span_id
    FROM lake_spans AS spans
    JOIN agentless ON agentless.trace_id = spans.trace_id
    WHERE spans.parent_span_id IS NULL
    GROUP BY spans.trace_id
),
chosen AS (
    SELECT trace_id, span_id FROM outermost
    UNION ALL
    SELECT trace_id, span_id FROM roots
),
numbered AS (
    SELECT
        spans.*,
        row_number() OVER (
            PARTITION BY spans.trace_id, spans.span_id ORDER BY spans.received_at, spans.end_time
        ) AS copy
    FROM lake_spans AS spans
    JOIN chosen ON chosen.trace_id = spans.trace_id AND chosen.span_id = spans.span_id
),
single AS (
    SELECT *, COUNT(*) OVER (PARTITION BY trace_id) AS runs_of_trace FROM numbered WHERE copy = 1
)
SELECT
    CASE
        WHEN single.runs_of_trace = 1 THEN single.trace_id
        ELSE single.trace_id || '/' || single.span_id
    END AS run_key,
    single.trace_id,
    single.span_id,
    COALESCE(
        single.run_id,
        CASE WHEN single.runs_of_trace = 1 THEN COALESCE(identity.run_id, single.trace_id) END,
        single.trace_id || '/' || single.span_id
    ) AS run_id,
    COALESCE(single.thread_id, identity.thread_id) AS thread_id,
    COALESCE(single.tenant_id, identity.tenant_id) AS tenant_id,
    COALESCE(single.user_id, identity.user_id) AS user_id,
    COALESCE(single.agent_name, identity.agent_name) AS agent_name,
    COALESCE(single.feature, identity.feature, single.agent_name, identity.agent_name) AS feature,
    single.start_time AS started_at,
    single.end_time AS ended_at,
    single.duration_ms,
    -- A model call that is its own root has a first chunk, but no first token sent to a user.
    CASE WHEN single.span_class <> 'llm' THEN single.ttfb_ms END AS ttfb_ms,
    COALESCE(
        single.outcome,
        CASE WHEN single.status = 'error' THEN 'error' ELSE 'success' END
    ) AS outcome,
    single.outcome_reason,
    single.error_class,
    single.error_message
FROM single
LEFT JOIN trace_identity AS identity ON identity.trace_id = single.trace_id
