-- Step: the model spans that are a trace by themselves and tell a call which another trace tells too.
--
-- A framework that hands out a stream before it is read leaves no context to the client below it, whose
-- span becomes a root. One library tells each request once, so that a root that is the only call of its
-- trace, and a span of another library of the same service in which it began and ended, no more than a
-- second after that, are one call where both name the same model and the same counts, and one names no
-- response. Not so where that span has such a call in its own trace; nor where either has a choice, such
-- as of parallel calls with the same counts.
--
-- Where neither knows counts the times must speak for it: that span has a parent, both begin and end
-- together, and both failed or neither, with errors that may be the same. It may be a root where both failed
-- and it begins and ends just around the other.
--
--   leader_trace_id, leader_id  VARCHAR  the span that stands for the call
CREATE OR REPLACE TEMP TABLE stray_calls AS
WITH
lone AS (
    SELECT trace_id, 'llm' AS span_class
    FROM trace_identity
    WHERE agent_spans = 0 AND only_call
),
-- Where no trace is of one call, or each service has one library, nothing else is read.
services AS (
    SELECT COALESCE(service_name, '') AS service_name
    FROM span_facts
    WHERE span_class = 'llm' AND span_class IN (SELECT span_class FROM lone)
    GROUP BY COALESCE(service_name, '')
    HAVING MIN(scope_name) <> MAX(scope_name)
),
calls AS (
    SELECT
        trace_id, span_id, parent_span_id, scope_name, start_time, end_time, response_id,
        COALESCE(service_name, '') AS service_name,
        COALESCE(request_model, response_model) AS request_model,
        COALESCE(response_model, request_model) AS response_model,
        input_tokens, output_tokens,
        COALESCE(input_tokens, 0) + COALESCE(output_tokens, 0) > 0 AS counted,
        outcome = 'error' OR status = 'error' AS failed,
        -- Not what the vendor calls it, such as api_error or 500.
        NULLIF(regexp_extract(error_class, '\b[A-Z]\w*$'), '') AS error_class,
        CAST(floor(epoch_us(start_time) / 1000000) AS BIGINT) AS second
    FROM span_facts
    WHERE span_class = 'llm'
      AND COALESCE(service_name, '') IN (SELECT service_name FROM services)
),
strays AS (
    SELECT calls.*
    FROM calls
    SEMI JOIN lone ON lone.trace_id = calls.trace_id
    WHERE calls.parent_span_id IS NULL
),
leaders AS (
    SELECT *, second AS of_second FROM calls
    UNION ALL
    SELECT *, second + 1 AS of_second FROM calls
),
pairs AS (
    SELECT
        strays.trace_id, strays.span_id, strays.scope_name, strays.start_time,
        strays.end_time, leaders.trace_id AS leader_trace_id, leaders.span_id AS leader_id
    FROM strays
    JOIN leaders
        ON leaders.service_name = strays.service_name
        AND leaders.of_second = strays.second
        AND leaders.trace_id <> strays.trace_id
        AND leaders.scope_name <> strays.scope_name
        AND leaders.input_tokens IS NOT DISTINCT FROM strays.input_tokens
        AND leaders.output_tokens IS NOT DISTINCT FROM strays.output_tokens
    WHERE (leaders.response_id IS NULL OR strays.response_id IS NULL)
      -- Of two such roots that begin at once one is the other's.
      AND (
          leaders.start_time < strays.start_time
          OR (
              leaders.start_time = strays.start_time
              AND (leaders.parent_span_id IS NOT NULL OR leaders.trace_id < strays.trace_id)
          )
      )
      AND strays.start_time <= leaders.start_time + INTERVAL '1' SECOND
      AND strays.start_time <= leaders.end_time
      -- Libraries take the time a little before and after one another.
      AND strays.end_time <= leaders.end_time + INTERVAL '20' MILLISECOND
      AND (
          leaders.request_model IN (strays.request_model, strays.response_model)
          OR leaders.response_model IN (strays.request_model, strays.response_model)
      )
      AND CASE
          WHEN strays.counted THEN COALESCE(leaders.failed OR NOT strays.failed, TRUE)
          ELSE (
                  leaders.parent_span_id IS NOT NULL
                  OR (
                      leaders.failed AND strays.failed
                      AND strays.start_time <= leaders.start_time + INTERVAL '5' MILLISECOND
                      AND strays.end_time >= leaders.end_time - INTERVAL '5' MILLISECOND
                      AND strays.end_time <= leaders.end_time
                  )
              )
              AND strays.start_time <= leaders.start_time + INTERVAL '50' MILLISECOND
              AND strays.end_time >= leaders.end_time - INTERVAL '50' MILLISECOND
              AND COALESCE(leaders.failed, FALSE) = COALESCE(strays.failed, FALSE)
              -- A framework's class may have the vendor's name before the client's.
              AND COALESCE(
                  suffix(leaders.error_class, strays.error_class)
                  OR suffix(strays.error_class, leaders.error_class),
                  TRUE
              )
      END
    GROUP BY ALL
),
-- Who has its twin beside or below it needs none.
open_pairs AS (
    SELECT pairs.*
    FROM pairs
    ANTI JOIN calls AS twins
        ON twins.trace_id = pairs.leader_trace_id
        AND twins.scope_name = pairs.scope_name
        AND twins.start_time < pairs.end_time
        AND twins.end_time > pairs.start_time
),
chosen_once AS (
    SELECT leader_trace_id, leader_id
    FROM open_pairs
    GROUP BY leader_trace_id, leader_id
    HAVING COUNT(*) = 1
)
SELECT
    trace_id, span_id, MIN(open_pairs.leader_trace_id) AS leader_trace_id,
    MIN(open_pairs.leader_id) AS leader_id
FROM open_pairs
JOIN chosen_once AS once
    ON once.leader_trace_id = open_pairs.leader_trace_id
    AND once.leader_id = open_pairs.leader_id
GROUP BY trace_id, span_id
HAVING COUNT(*) = 1
