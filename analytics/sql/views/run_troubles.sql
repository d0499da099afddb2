-- Step: what spans inside a run say of its end that the run's own span may not.
--
-- A graph that asks a human raises GraphInterrupt in a node; its root may end OK. OpenAI Agents ends its
-- root OK though the agent below failed. An agent that failed inside a tool was that tool's failure,
-- and one after whose end another agent of the trace succeeded was made good. A server at the root of the
-- trace may know that the client had left, when the agent behind it went on to its end.
--
--   run_key      VARCHAR  as in run_spans
--   interrupted  BOOLEAN  a graph stopped to be resumed; if not, an agent failed
CREATE OR REPLACE TEMP TABLE run_troubles AS
WITH RECURSIVE
-- Where a trace has one agent span, that is the run: only others (outermost_agents) are asked for
-- agents that failed.
told AS (
    SELECT
        trace_id, span_id, parent_span_id, outcome, outcome_reason, error_class, error_message,
        end_time
    FROM span_facts
    WHERE outcome = 'interrupt'
      AND (span_class IN ('agent', 'node') OR (span_class = 'other' AND parent_span_id IS NULL))
    UNION ALL
    SELECT
        trace_id, span_id, parent_span_id, outcome, outcome_reason, error_class, error_message,
        end_time
    FROM told_endings
    WHERE outcome = 'interrupt'
      AND (span_class IN ('agent', 'node') OR (span_class = 'other' AND parent_span_id IS NULL))
    UNION ALL
    SELECT
        trace_id, span_id, parent_span_id, outcome, outcome_reason, error_class, error_message,
        end_time
    FROM span_facts
    WHERE outcome = 'error' AND span_class = 'agent'
      AND trace_id IN (SELECT trace_id FROM outermost_agents)
),
links AS (
    SELECT trace_id, span_id, parent_span_id, span_class
    FROM span_facts
    WHERE trace_id IN (SELECT trace_id FROM told WHERE outcome = 'error')
),
-- Every span above an agent that failed. UNION ends loops.
above (trace_id, agent_id, span_id) AS (
    SELECT trace_id, span_id, parent_span_id
    FROM told
    WHERE outcome = 'error'
    UNION
    SELECT above.trace_id, above.agent_id, links.parent_span_id
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.span_id
),
in_tools AS (
    SELECT above.trace_id, above.agent_id
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.span_id
    WHERE links.span_class = 'tool'
    GROUP BY above.trace_id, above.agent_id
),
good AS (
    SELECT trace_id, MAX(start_time) AS started_at
    FROM span_facts
    WHERE span_class = 'agent' AND outcome = 'success'
      AND trace_id IN (SELECT trace_id FROM told WHERE outcome = 'error')
    GROUP BY trace_id
),
troubles AS (
    SELECT told.*
    FROM told
    ANTI JOIN in_tools
        ON in_tools.trace_id = told.trace_id AND in_tools.agent_id = told.span_id
        AND told.outcome = 'error'
    ANTI JOIN good
        ON good.trace_id = told.trace_id AND good.started_at >= told.end_time
        AND told.outcome = 'error'
)
SELECT
    CASE
        WHEN members.span_id IS NULL THEN troubles.trace_id
        ELSE members.run_key
    END AS run_key,
    troubles.outcome = 'interrupt' AS interrupted,
    troubles.outcome_reason, troubles.error_class, troubles.error_message
FROM troubles
LEFT JOIN run_members AS members
    ON members.trace_id = troubles.trace_id AND members.span_id = troubles.span_id
QUALIFY row_number() OVER (
    PARTITION BY CASE WHEN members.span_id IS NULL THEN troubles.trace_id ELSE members.run_key END
    ORDER BY
        CASE WHEN troubles.outcome = 'interrupt' THEN 0 ELSE 1 END, troubles.end_time DESC,
        troubles.span_id
) = 1
