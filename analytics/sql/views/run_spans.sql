-- Step: the span that is a run, one row per agent request that left spans.
--
-- A run is the outermost agent span of a trace (outermost_agents, where there is a choice), or the
-- root of a trace without an agent span (agentless_roots).
--
-- It ended as its span says, unless that says success and something says more: inside (run_troubles), or
-- a log record of its own (told_endings).
-- Unknown is NULL: a thread_id is never made up from the trace_id, which would make every request a
-- thread of its own, and a duration of 0 is that of a source that does not measure.
--
--   told  BOOLEAN  whether a span says how it ended; success is assumed where none does, so
--                  that of a span without a status is no word of its own
--
-- run_key joins a run to what belongs to it: the trace_id, or trace_id/span_id where a trace has
-- several runs (run_members).
CREATE OR REPLACE TEMP TABLE run_spans AS
WITH
chosen AS (
    SELECT trace_id, span_id, runs_of_trace FROM outermost_agents
    UNION ALL
    SELECT trace_id, span_id, 1 AS runs_of_trace FROM agentless_roots
),
candidates AS (
    SELECT
        1 AS runs_of_trace, trace_id, span_id, span_class, run_id, thread_id, tenant_id, user_id,
        agent_name, feature, start_time, end_time, duration_ms, ttfb_ms, status, outcome,
        outcome_reason, error_class, error_message
    FROM span_facts AS spans
    ANTI JOIN outermost_agents AS crowded ON crowded.trace_id = spans.trace_id
    WHERE span_class = 'agent'
    UNION ALL
    SELECT
        chosen.runs_of_trace, spans.trace_id, spans.span_id, spans.span_class, spans.run_id,
        spans.thread_id, spans.tenant_id, spans.user_id, spans.agent_name, spans.feature,
        spans.start_time, spans.end_time, spans.duration_ms, spans.ttfb_ms, spans.status,
        spans.outcome, spans.outcome_reason, spans.error_class, spans.error_message
    FROM span_facts AS spans
    JOIN chosen ON chosen.trace_id = spans.trace_id AND chosen.span_id = spans.span_id
),
-- The copies of a span sent twice are alike, or the earlier was sent before the span ended.
single AS (
    SELECT
        trace_id, span_id,
        MIN(runs_of_trace) AS runs_of_trace,
        MIN(span_class) AS span_class,
        MIN(run_id) AS run_id,
        MIN(thread_id) AS thread_id,
        MIN(tenant_id) AS tenant_id,
        MIN(user_id) AS user_id,
        MIN(agent_name) AS agent_name,
        MIN(feature) AS feature,
        MIN(start_time) AS start_time,
        MAX(end_time) AS end_time,
        MAX(duration_ms) AS duration_ms,
        MIN(ttfb_ms) AS ttfb_ms,
        MIN(status) AS status,
        MIN(outcome) AS outcome,
        MIN(outcome_reason) AS outcome_reason,
        MIN(error_class) AS error_class,
        MIN(error_message) AS error_message
    FROM candidates
    GROUP BY trace_id, span_id
),
owned AS (
    SELECT
        CASE
            WHEN single.runs_of_trace > 1 THEN single.trace_id || '/' || single.span_id
            ELSE single.trace_id
        END AS run_key,
        single.trace_id,
        single.span_id,
        COALESCE(ruled.run_id, single.run_id, members.run_id, identity.run_id) AS run_id,
        COALESCE(ruled.thread_id, single.thread_id, members.thread_id, identity.thread_id)
            AS thread_id,
        COALESCE(ruled.tenant_id, single.tenant_id, members.tenant_id, identity.tenant_id)
            AS tenant_id,
        COALESCE(ruled.user_id, single.user_id, members.user_id, identity.user_id) AS user_id,
        COALESCE(ruled.agent_name, single.agent_name, members.agent_name, identity.agent_name)
            AS agent_name,
        COALESCE(
            ruled.feature, single.feature, members.feature, identity.feature, ruled.agent_name,
            single.agent_name, members.agent_name, identity.agent_name
        ) AS feature,
        single.start_time AS started_at,
        single.end_time AS ended_at,
        NULLIF(single.duration_ms, 0) AS duration_ms,
        -- A model call that is its own root has a first chunk, but no first token sent to a user.
        CASE WHEN single.span_class <> 'llm' THEN single.ttfb_ms END AS ttfb_ms,
        CASE
            WHEN endings.outcome IS NOT NULL THEN endings.outcome
            WHEN single.outcome IS NOT NULL THEN single.outcome
            WHEN single.status = 'error' THEN 'error'
            ELSE 'success'
        END AS outcome,
        COALESCE(single.outcome <> 'success', FALSE) OR COALESCE(single.status <> 'unset', FALSE)
        OR endings.outcome IS NOT NULL AS told,
        COALESCE(single.outcome_reason, endings.outcome_reason) AS outcome_reason,
        COALESCE(single.error_class, endings.error_class) AS error_class,
        COALESCE(single.error_message, endings.error_message) AS error_message
    FROM single
    LEFT JOIN overruled AS ruled
        ON ruled.trace_id = single.trace_id AND ruled.span_id = single.span_id
    LEFT JOIN run_members AS members
        ON members.trace_id = single.trace_id AND members.span_id = single.span_id
    LEFT JOIN trace_identity AS identity
        ON identity.trace_id = single.trace_id AND single.runs_of_trace = 1
    LEFT JOIN told_endings AS endings
        ON endings.trace_id = single.trace_id AND endings.span_id = single.span_id
),
ended AS (
    SELECT
        owned.*,
        CASE
            WHEN owned.outcome = 'success'
                OR (owned.outcome = 'error' AND owned.error_class IS NULL) THEN troubles.interrupted
        END AS interrupted,
        owned.outcome = 'success' AND NOT COALESCE(troubles.interrupted, TRUE) AS failed,
        troubles.outcome_reason AS told_reason,
        troubles.error_class AS told_class,
        troubles.error_message AS told_message
    FROM owned
    LEFT JOIN run_troubles AS troubles ON troubles.run_key = owned.run_key
)
SELECT
    run_key, trace_id, span_id, run_id, thread_id, tenant_id, user_id, agent_name, feature,
    started_at, ended_at, duration_ms, ttfb_ms,
    CASE WHEN interrupted THEN 'interrupt' WHEN failed THEN 'error' ELSE outcome END AS outcome,
    told OR COALESCE(interrupted, FALSE) OR failed AS told,
    COALESCE(
        outcome_reason,
        CASE WHEN interrupted OR failed THEN told_reason END,
        CASE
            WHEN outcome = 'interrupt' AND error_class LIKE '%GraphInterrupt%' THEN 'human'
            WHEN interrupted AND told_class LIKE '%GraphInterrupt%' THEN 'human'
        END
    ) AS outcome_reason,
    COALESCE(error_class, CASE WHEN interrupted OR failed THEN told_class END) AS error_class,
    COALESCE(error_message, CASE WHEN interrupted OR failed THEN told_message END)
        AS error_message
FROM ended
