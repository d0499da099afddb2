-- Step: how a span ended by log records of it, where they say more than the span does.
--
-- OpenTelemetry's instrumentations up to 1.36 send `gen_ai.choice` with the finish reason: `error` of a
-- stream that was cut short. Of several choices of a response one that ended badly tells of it.
--
-- What was raised is, in place of an event of the span, also a log record: `exception`, or an event whose
-- name ends so. Of several the last counts, by the rules of ingest for events of spans: one that means
-- an interrupt or no failure does so whatever the status, any other says why a span failed, and is a
-- failure of a model or tool call that has neither a status nor an answer.
--
-- A model call that seems to be one that its caller left, with no sign of a whole response, was broken off
-- by the provider where the agent that made it failed for that: pydantic-ai tells it of the agent alone. Of
-- the Vercel AI SDK it is the other way round: a stream that its caller left has no end, nor has one of which
-- the last call failed. Claude Code never says how an interaction ended: as the last of its own calls did, which
-- is what its events tell, too (line_runs). An agent that failed for an error of no known class, OpenTelemetry's
-- `_OTHER`, did so for the same reason as its last call, where that failed.
--
--   outcome  VARCHAR  in place of the span's; NULL where that stands
CREATE OR REPLACE TEMP TABLE told_endings AS
WITH
choices AS (
    SELECT
        trace_id, span_id,
        MIN(finish_reason) AS finish_reason,
        MAX(outcome) AS outcome,
        MAX(outcome_reason) AS outcome_reason
    FROM log_facts
    WHERE event_name = 'gen_ai.choice' AND finish_reason IS NOT NULL
      AND trace_id IS NOT NULL AND span_id IS NOT NULL
    GROUP BY trace_id, span_id
),
raised AS (
    SELECT trace_id, span_id, outcome, outcome_reason, error_class, error_message
    FROM log_facts
    WHERE (event_name = 'exception' OR event_name LIKE '%.exception')
      AND COALESCE(error_class, error_message) IS NOT NULL
      AND trace_id IS NOT NULL AND span_id IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY trace_id, span_id ORDER BY time DESC, log_id
    ) = 1
),
named AS (
    SELECT trace_id, span_id FROM choices
    UNION
    SELECT trace_id, span_id FROM raised
),
spans AS (
    SELECT
        facts.trace_id, facts.span_id,
        MIN(facts.parent_span_id) AS parent_span_id,
        MIN(facts.span_class) AS span_class,
        MAX(facts.end_time) AS end_time,
        MIN(facts.outcome) AS outcome,
        MIN(facts.kind) AS kind,
        COUNT(*) FILTER (
            WHERE facts.status <> 'unset' OR facts.response_id IS NOT NULL
                OR facts.finish_reason IS NOT NULL OR facts.input_tokens IS NOT NULL
                OR facts.output_tokens IS NOT NULL
        ) = 0 AND MIN(facts.span_class) IN ('llm', 'tool') AS unanswered
    FROM span_facts AS facts
    JOIN named ON named.trace_id = facts.trace_id AND named.span_id = facts.span_id
    GROUP BY facts.trace_id, facts.span_id
),
judged AS (
    SELECT
        spans.*, choices.finish_reason, raised.error_class, raised.error_message,
        CASE
            WHEN raised.outcome <> 'error' AND (spans.outcome IS NOT NULL OR spans.kind = 'server')
                THEN 'raised'
            WHEN spans.outcome = 'success' AND choices.outcome IS NOT NULL THEN 'choice'
            WHEN spans.outcome = 'success' AND raised.outcome = 'error' AND spans.unanswered
                THEN 'raised'
        END AS by_what,
        choices.outcome AS choice, choices.outcome_reason AS choice_reason,
        raised.outcome AS end_raised, raised.outcome_reason AS raised_reason
    FROM spans
    LEFT JOIN choices
        ON choices.trace_id = spans.trace_id AND choices.span_id = spans.span_id
    LEFT JOIN raised
        ON raised.trace_id = spans.trace_id AND raised.span_id = spans.span_id
),
broken_off AS (
    SELECT
        calls.trace_id, calls.span_id,
        MIN(calls.parent_span_id) AS parent_span_id,
        MIN(calls.span_class) AS span_class,
        MAX(calls.end_time) AS end_time,
        MIN(calls.outcome_reason) AS outcome_reason,
        MIN(agents.error_class) AS error_class,
        MIN(agents.error_message) AS error_message
    FROM span_facts AS calls
    JOIN span_facts AS agents
        ON agents.trace_id = calls.trace_id AND agents.span_id = calls.parent_span_id
    ANTI JOIN named
        ON named.trace_id = calls.trace_id AND named.span_id = calls.span_id
    WHERE calls.span_class = 'llm' AND calls.outcome = 'interrupt'
      AND calls.outcome_reason = 'incomplete'
      AND agents.span_class = 'agent' AND agents.outcome = 'error'
      AND agents.outcome_reason IN ('provider', 'incomplete', 'timeout')
    GROUP BY calls.trace_id, calls.span_id
),
last_calls AS (
    SELECT
        agents.trace_id, agents.span_id,
        MIN(agents.parent_span_id) AS parent_span_id,
        MIN(agents.span_class) AS span_class,
        MAX(agents.end_time) AS end_time,
        max_by(calls.outcome, calls.end_time) AS outcome,
        max_by(calls.outcome_reason, calls.end_time) AS outcome_reason,
        max_by(calls.error_class, calls.end_time) AS error_class,
        max_by(calls.error_message, calls.end_time) AS error_message
    FROM span_facts AS agents
    JOIN span_facts AS calls
        ON calls.trace_id = agents.trace_id AND calls.parent_span_id = agents.span_id
    ANTI JOIN named
        ON named.trace_id = agents.trace_id AND named.span_id = agents.span_id
    WHERE agents.span_class = 'agent' AND calls.span_class = 'llm'
      AND (
          (agents.outcome = 'interrupt' AND agents.outcome_reason = 'incomplete')
          OR (agents.outcome = 'success' AND agents.name = 'claude_code.interaction')
          OR (
              agents.outcome = 'error' AND agents.outcome_reason IS NULL
              AND agents.error_class = '_OTHER'
          )
      )
    GROUP BY agents.trace_id, agents.span_id
)
SELECT
    trace_id, span_id, parent_span_id, span_class, end_time, finish_reason,
    CASE by_what WHEN 'raised' THEN end_raised WHEN 'choice' THEN choice END AS outcome,
    CASE
        WHEN by_what = 'raised' THEN raised_reason
        WHEN choice_reason IS NOT NULL THEN choice_reason
        WHEN outcome = end_raised THEN raised_reason
    END AS outcome_reason,
    CASE WHEN by_what = 'raised' OR COALESCE(outcome, 'error') <> 'success' THEN error_class END
        AS error_class,
    CASE WHEN by_what = 'raised' OR COALESCE(outcome, 'error') <> 'success' THEN error_message END
        AS error_message
FROM judged
UNION ALL
SELECT
    trace_id, span_id, parent_span_id, span_class, end_time, NULL AS finish_reason,
    'error' AS outcome, outcome_reason, error_class, error_message
FROM broken_off
UNION ALL
SELECT
    trace_id, span_id, parent_span_id, span_class, end_time, NULL AS finish_reason, outcome,
    outcome_reason, error_class, error_message
FROM last_calls
WHERE outcome = 'error'
