-- Step: the model spans that share their call with another span, and which call that is.
--
-- Such are the copies of a span sent twice, the spans of a response told twice (repeated_calls), a
-- wrapper and what is inside it (nested_calls), and a call that two libraries tell side by side
-- (sibling_calls) or in two traces (stray_calls). Every other model span is a call by itself.
--
--   call_key      VARCHAR  the same for all spans of the call; NULL for a wrapper of several calls
--   yields        BOOLEAN  another span of the call stands for it
--   in_agent_run  BOOLEAN  its trace has an agent span; FALSE where nothing depends on it
CREATE OR REPLACE TEMP TABLE merged_calls AS
WITH
involved AS (
    SELECT trace_id, span_id
    FROM span_facts
    WHERE span_class = 'llm'
    GROUP BY trace_id, span_id
    HAVING COUNT(*) > 1
    UNION
    SELECT trace_id, span_id FROM repeated_calls
    UNION
    SELECT trace_id, span_id FROM nested_calls
    UNION
    SELECT trace_id, leader_id AS span_id FROM nested_calls WHERE leader_id IS NOT NULL
    UNION
    SELECT trace_id, span_id FROM sibling_calls
    UNION
    SELECT trace_id, leader_id AS span_id FROM sibling_calls
    UNION
    SELECT trace_id, span_id FROM stray_calls
    UNION
    SELECT leader_trace_id AS trace_id, leader_id AS span_id FROM stray_calls
),
homed AS (
    SELECT
        involved.trace_id,
        involved.span_id,
        COALESCE(strays.leader_trace_id, involved.trace_id) AS home_trace_id,
        COALESCE(strays.leader_id, involved.span_id) AS home_id,
        strays.span_id IS NOT NULL AS strays
    FROM involved
    LEFT JOIN stray_calls AS strays
        ON strays.trace_id = involved.trace_id AND strays.span_id = involved.span_id
)
SELECT
    homed.trace_id,
    homed.span_id,
    CASE
        WHEN nested.span_id IS NULL OR nested.leader_id IS NOT NULL THEN COALESCE(
            repeated.call_key,
            homed.home_trace_id || '/'
            || COALESCE(siblings.leader_id, nested.leader_id, homed.home_id)
        )
    END AS call_key,
    homed.strays OR nested.span_id IS NOT NULL OR siblings.span_id IS NOT NULL AS yields,
    COALESCE(repeated.in_agent_run, FALSE) AS in_agent_run
FROM homed
LEFT JOIN nested_calls AS nested
    ON nested.trace_id = homed.home_trace_id AND nested.span_id = homed.home_id
LEFT JOIN sibling_calls AS siblings
    ON siblings.trace_id = homed.home_trace_id
    AND siblings.span_id = COALESCE(nested.leader_id, homed.home_id)
LEFT JOIN repeated_calls AS repeated
    ON repeated.trace_id = homed.home_trace_id
    AND repeated.span_id = COALESCE(siblings.leader_id, nested.leader_id, homed.home_id)
