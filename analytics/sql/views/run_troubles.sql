-- Step: what spans inside a run say of its end that the run's own span may not.
--
-- A graph that asks a human raises GraphInterrupt in a node; its root may end OK. OpenAI Agents ends its
-- root OK though the agent below failed. An agent that failed, or was left, inside a tool was that tool's
-- failure, and one after whose end another agent of the trace succeeded was made good. A server at the
-- root of the trace may know that the client had left, when the agent behind it went on to its end.
--
-- pydantic-ai ends its root without a status though its task was cancelled in a tool: so the run ended if
-- nothing of it ended well after that, nor the agent above it with OK or clearly later. An agent that was cancelled only once the agent above it had
-- ended well had answered: AutoGen closes its generators then.
--
--   run_key      VARCHAR  as in run_spans
--   interrupted  BOOLEAN  a graph stopped to be resumed; if not, an agent failed
CREATE OR REPLACE TEMP TABLE run_troubles AS
WITH RECURSIVE
cancelled_tools AS (
    SELECT
        tools.trace_id, tools.span_id, tools.start_time, tools.end_time, members.run_key,
        COALESCE(endings.outcome_reason, tools.outcome_reason) AS outcome_reason,
        COALESCE(tools.error_class, endings.error_class) AS error_class,
        COALESCE(tools.error_message, endings.error_message) AS error_message
    FROM span_facts AS tools
    LEFT JOIN told_endings AS endings
        ON endings.trace_id = tools.trace_id AND endings.span_id = tools.span_id
    LEFT JOIN run_members AS members
        ON members.trace_id = tools.trace_id AND members.span_id = tools.span_id
    WHERE tools.span_class = 'tool'
      AND COALESCE(endings.outcome, tools.outcome) = 'interrupt'
      AND COALESCE(endings.outcome_reason, tools.outcome_reason)
          IN ('client_disconnect', 'shutdown')
),
-- One that was given up, for its time or for another that failed, was not the end.
given_up AS (
    SELECT tools.trace_id, tools.span_id
    FROM cancelled_tools AS tools
    JOIN span_facts AS others
        ON others.trace_id = tools.trace_id AND others.span_id <> tools.span_id
        AND others.span_class IN ('llm', 'tool', 'node', 'agent')
    LEFT JOIN run_members AS members
        ON members.trace_id = others.trace_id AND members.span_id = others.span_id
    WHERE members.run_key IS NOT DISTINCT FROM tools.run_key
      AND (
          (
              others.span_class <> 'agent' AND others.outcome = 'success'
              AND others.end_time >= tools.end_time
          )
          OR (
              others.span_class IN ('llm', 'tool') AND others.outcome = 'error'
              AND others.end_time >= tools.start_time
          )
          OR (
              others.span_class = 'agent' AND others.outcome = 'success'
              AND others.start_time <= tools.start_time AND others.end_time >= tools.start_time
              AND (
                  others.status = 'ok'
                  OR others.end_time > tools.end_time + INTERVAL '50' MILLISECOND
              )
          )
      )
    GROUP BY tools.trace_id, tools.span_id
),
-- Where a trace has one agent span, that is the run: only others (outermost_agents) are asked for
-- agents that failed.
told AS (
    SELECT
        spans.trace_id, spans.span_id, spans.parent_span_id, spans.outcome, spans.outcome_reason,
        spans.error_class, spans.error_message, spans.end_time
    FROM span_facts AS spans
    ANTI JOIN told_endings AS endings
        ON endings.trace_id = spans.trace_id AND endings.span_id = spans.span_id
        AND endings.outcome = 'error'
    WHERE spans.outcome = 'interrupt'
      AND (
          spans.span_class IN ('agent', 'node')
          OR (spans.span_class = 'other' AND spans.parent_span_id IS NULL)
      )
    UNION ALL
    SELECT
        trace_id, span_id, parent_span_id, outcome, outcome_reason, error_class, error_message,
        end_time
    FROM told_endings
    WHERE outcome = 'interrupt'
      AND (span_class IN ('agent', 'node') OR (span_class = 'other' AND parent_span_id IS NULL))
    UNION ALL
    SELECT
        agents.trace_id, agents.span_id, agents.parent_span_id, agents.outcome,
        COALESCE(agents.outcome_reason, endings.outcome_reason) AS outcome_reason,
        agents.error_class, agents.error_message, agents.end_time
    FROM span_facts AS agents
    LEFT JOIN told_endings AS endings
        ON endings.trace_id = agents.trace_id AND endings.span_id = agents.span_id
    WHERE agents.outcome = 'error' AND agents.span_class = 'agent'
      AND agents.trace_id IN (SELECT trace_id FROM outermost_agents)
),
links AS (
    SELECT trace_id, span_id, parent_span_id, span_class, outcome, end_time
    FROM span_facts
    WHERE trace_id IN (
        SELECT trace_id FROM told
        WHERE outcome = 'error' OR outcome_reason IN ('client_disconnect', 'incomplete')
    )
),
-- Every span above an agent that failed, was cancelled or has no end. UNION ends loops.
above (trace_id, agent_id, span_id) AS (
    SELECT trace_id, span_id, parent_span_id
    FROM told
    WHERE outcome = 'error' OR outcome_reason IN ('client_disconnect', 'incomplete')
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
closed AS (
    SELECT above.trace_id, above.agent_id
    FROM above
    JOIN told ON told.trace_id = above.trace_id AND told.span_id = above.agent_id
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.span_id
    WHERE told.outcome_reason = 'client_disconnect' AND links.span_class = 'agent'
      AND links.outcome = 'success' AND links.end_time < told.end_time
    GROUP BY above.trace_id, above.agent_id
),
good AS (
    SELECT trace_id, MAX(start_time) AS started_at
    FROM span_facts
    WHERE span_class = 'agent' AND outcome = 'success'
      AND trace_id IN (
          SELECT trace_id FROM told WHERE outcome = 'error' OR outcome_reason = 'incomplete'
      )
    GROUP BY trace_id
),
troubles AS (
    SELECT
        tools.trace_id, tools.span_id, 'interrupt' AS outcome, tools.outcome_reason,
        tools.error_class, tools.error_message, tools.end_time
    FROM cancelled_tools AS tools
    ANTI JOIN given_up
        ON given_up.trace_id = tools.trace_id AND given_up.span_id = tools.span_id
    UNION ALL
    SELECT
        told.trace_id, told.span_id, told.outcome, told.outcome_reason, told.error_class,
        told.error_message, told.end_time
    FROM told
    ANTI JOIN in_tools
        ON in_tools.trace_id = told.trace_id AND in_tools.agent_id = told.span_id
        AND (told.outcome = 'error' OR told.outcome_reason = 'incomplete')
    ANTI JOIN closed
        ON closed.trace_id = told.trace_id AND closed.agent_id = told.span_id
        AND told.outcome = 'interrupt'
    ANTI JOIN good
        ON good.trace_id = told.trace_id AND good.started_at >= told.end_time
        AND (told.outcome = 'error' OR told.outcome_reason = 'incomplete')
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
