-- Step: the model spans whose response another span reports too.
--
-- Two instrumentations of one process, or the SDK and a gateway, report the same response_id: in one
-- trace, or in two where the context was not passed on. A gateway that answers from its cache repeats
-- the id too, however much later, and is charged nothing: what repeats it more than a minute later does
-- not stand for the call, whatever is told of it.
--
-- Servers like Ollama draw their ids from a small pool (chatcmpl-0 to chatcmpl-999): up to 12
-- characters name the same response only within a minute of the one before, and counts that differ
-- are other calls; a span that knows none is the same. Under a longer id counts that differ are one
-- instrumentation's mistake: OpenLLMetry's of Anthropic's streams are a token too high.
--
--   call_key      VARCHAR  the same for all spans of the call
--   in_agent_run  BOOLEAN  its trace has an agent span, and it is of the first minute of the call
CREATE OR REPLACE TEMP TABLE repeated_calls AS
WITH
responses AS (
    SELECT response_id
    FROM span_facts
    WHERE span_class = 'llm' AND response_id IS NOT NULL
    GROUP BY response_id
    HAVING COUNT(*) > 1
),
told AS (
    SELECT
        trace_id, span_id, response_id,
        MIN(start_time) AS start_time,
        MAX(output_tokens) AS output_tokens
    FROM span_facts
    WHERE span_class = 'llm' AND response_id IN (SELECT response_id FROM responses)
    GROUP BY trace_id, span_id, response_id
),
gaps AS (
    SELECT
        told.*,
        CASE
            WHEN LENGTH(response_id) > 12 THEN 0
            WHEN start_time - lag(start_time) OVER (
                PARTITION BY response_id ORDER BY start_time, trace_id, span_id
            ) <= INTERVAL '1' MINUTE THEN 0
            ELSE 1
        END AS begins
    FROM told
),
bursts AS (
    SELECT
        gaps.*,
        SUM(begins) OVER (
            PARTITION BY response_id ORDER BY start_time, trace_id, span_id
        ) AS burst
    FROM gaps
)
SELECT
    bursts.trace_id, bursts.span_id,
    bursts.response_id || '/' || CAST(bursts.burst AS VARCHAR) || '/' || COALESCE(
        CASE WHEN LENGTH(bursts.response_id) <= 12 THEN CAST(
            COALESCE(
                bursts.output_tokens,
                MIN(bursts.output_tokens) OVER (
                    PARTITION BY bursts.response_id, bursts.burst
                )
            ) AS VARCHAR
        ) END,
        ''
    ) AS call_key,
    traces.agent_spans > 0 AND bursts.start_time <= INTERVAL '1' MINUTE + MIN(bursts.start_time) OVER (
        PARTITION BY bursts.response_id, bursts.burst
    ) AS in_agent_run
FROM bursts
JOIN trace_identity AS traces ON traces.trace_id = bursts.trace_id
