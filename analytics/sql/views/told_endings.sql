-- Step: how a model call ended by a log event of its span, where a stream's span does not say.
--
-- OpenTelemetry's instrumentations up to 1.36 send `gen_ai.choice` with the finish reason: `error` of a
-- stream that was cut short. Of several choices of a response one that ended badly tells of it.
CREATE OR REPLACE TEMP TABLE told_endings AS
SELECT
    trace_id, span_id,
    MIN(finish_reason) AS finish_reason,
    MAX(outcome) AS outcome,
    MAX(outcome_reason) AS outcome_reason
FROM log_facts
WHERE event_name = 'gen_ai.choice' AND finish_reason IS NOT NULL
  AND trace_id IS NOT NULL AND span_id IS NOT NULL
GROUP BY trace_id, span_id
