-- Step: the model spans that report a call which a span beside them, of another library, stands for.
--
-- A framework that hands out a stream before it is read leaves its span beside the client's, not around
-- it. One library tells each request once, so that two below one parent, told by two libraries of one
-- service, are one call where nothing speaks against it: the later is within the earlier, one names
-- no response, and what both know of models and counts agrees. A span whose first token came after
-- its own end was ended when the stream was handed out: that token is within the other then.
--
-- Two libraries that follow one framework each tell a tree of their own, in one trace, so that the
-- parents differ. There the outermost spans of a call are one where both name the same model and the
-- same counts, and where they begin and end together; unless one has such a sibling. Without counts
-- they may be of two steps side by side.
--
-- A span that could be told by two is told by none, such as of a retry or of parallel calls, nor is one
-- of more than 2000 in one place, each of which would be held against all others. What nested_calls
-- says of a wrapper and of failures holds here too.
--
--   span_id    VARCHAR  not a wrapper
--   leader_id  VARCHAR  the span that names the response; where none does, the later
CREATE OR REPLACE TEMP TABLE sibling_calls AS
WITH
-- Most often there are none, and spans are not grouped by their traces.
services AS (
    SELECT COALESCE(service_name, '') AS service_name
    FROM span_facts
    WHERE span_class = 'llm'
    GROUP BY COALESCE(service_name, '')
    HAVING MIN(scope_name) <> MAX(scope_name)
),
traces AS (
    SELECT trace_id
    FROM span_facts
    WHERE span_class = 'llm' AND COALESCE(service_name, '') IN (SELECT service_name FROM services)
    GROUP BY trace_id
    HAVING MIN(scope_name) <> MAX(scope_name)
),
facts AS (
    SELECT
        trace_id, span_id,
        MIN(parent_span_id) AS parent_span_id,
        MIN(COALESCE(service_name, '')) AS service_name,
        MIN(scope_name) AS scope_name,
        MIN(start_time) AS start_time,
        MAX(end_time) AS end_time,
        -- What came after an hour is a mistake, and could be beyond all times.
        MIN(start_time) + MIN(CASE WHEN ttfb_ms BETWEEN 0 AND 3600000 THEN ttfb_ms END)
            * INTERVAL '1' MILLISECOND AS first_token,
        MIN(response_id) AS response_id,
        MIN(COALESCE(request_model, response_model)) AS request_model,
        MIN(COALESCE(response_model, request_model)) AS response_model,
        MAX(input_tokens) AS input_tokens,
        MAX(output_tokens) AS output_tokens,
        COUNT(*) FILTER (WHERE outcome = 'error' OR status = 'error') > 0 AS failed,
        COUNT(*) FILTER (WHERE LOWER(operation) LIKE '%embed%') > 0 AS embeds
    FROM span_facts
    WHERE span_class = 'llm' AND trace_id IN (SELECT trace_id FROM traces)
    GROUP BY trace_id, span_id
),
calls AS (
    SELECT
        tops.trace_id, tops.parent_span_id, tops.service_name, tops.scope_name,
        leaders.scope_name AS led_by, inner_calls.span_id IS NULL AS outermost,
        LEAST(tops.start_time, leaders.start_time) AS start_time,
        GREATEST(tops.end_time, leaders.end_time) AS end_time,
        leaders.span_id, leaders.first_token, leaders.response_id, leaders.request_model,
        leaders.response_model, leaders.input_tokens, leaders.output_tokens, leaders.failed,
        leaders.embeds
    FROM facts AS tops
    LEFT JOIN (SELECT DISTINCT trace_id, span_id FROM inside_calls) AS inner_calls
        ON inner_calls.trace_id = tops.trace_id AND inner_calls.span_id = tops.span_id
    LEFT JOIN nested_calls AS nested
        ON nested.trace_id = tops.trace_id AND nested.span_id = tops.span_id
    JOIN facts AS leaders
        ON leaders.trace_id = tops.trace_id
        AND leaders.span_id
            = CASE WHEN nested.span_id IS NULL THEN tops.span_id ELSE nested.leader_id END
),
-- Below one parent, or in one tenth of a second; who is near its end is in the next one, too.
placed AS (
    SELECT *, TRUE AS siblings, parent_span_id AS place
    FROM calls
    WHERE parent_span_id IS NOT NULL
    UNION ALL
    SELECT
        calls.*, FALSE AS siblings,
        CAST((epoch_us(start_time) + moments.later) // 100000 AS VARCHAR) AS place
    FROM calls
    CROSS JOIN (VALUES (0), (50000)) AS moments (later)
    WHERE outermost
),
places AS (
    SELECT trace_id, siblings, place
    FROM placed
    GROUP BY trace_id, siblings, place
    HAVING MIN(scope_name) <> MAX(scope_name) AND COUNT(*) <= 2000
),
near AS (
    SELECT placed.*
    FROM placed
    SEMI JOIN places
        ON places.trace_id = placed.trace_id AND places.siblings = placed.siblings
        AND places.place = placed.place
),
pairs AS (
    SELECT
        earlier.trace_id, earlier.span_id AS earlier_id, later.span_id AS later_id,
        later.response_id IS NULL AND earlier.response_id IS NOT NULL AS earlier_leads,
        bool_or(earlier.siblings) AS siblings
    FROM near AS earlier
    JOIN near AS later
        ON later.trace_id = earlier.trace_id
        AND later.siblings = earlier.siblings
        AND later.place = earlier.place
        AND later.scope_name <> earlier.scope_name
        AND later.service_name = earlier.service_name
        AND later.span_id <> earlier.span_id
        AND (
            earlier.start_time < later.start_time
            OR (earlier.start_time = later.start_time AND earlier.span_id < later.span_id)
        )
    WHERE (earlier.response_id IS NULL OR later.response_id IS NULL)
      AND (earlier.failed OR NOT later.failed)
      AND earlier.embeds = later.embeds
      AND COALESCE(earlier.input_tokens = later.input_tokens, TRUE)
      AND COALESCE(earlier.output_tokens = later.output_tokens, TRUE)
      AND COALESCE(
          earlier.request_model IN (later.request_model, later.response_model)
          OR earlier.response_model IN (later.request_model, later.response_model),
          earlier.siblings
      )
      -- Libraries take the time a little before and after one another.
      AND CASE
          WHEN NOT earlier.siblings
              THEN later.parent_span_id IS DISTINCT FROM earlier.parent_span_id
              AND later.led_by <> earlier.led_by
              AND COALESCE(earlier.input_tokens, 0) + COALESCE(earlier.output_tokens, 0) > 0
              AND later.input_tokens IS NOT DISTINCT FROM earlier.input_tokens
              AND later.output_tokens IS NOT DISTINCT FROM earlier.output_tokens
              AND later.start_time
                  <= LEAST(earlier.end_time, earlier.start_time + INTERVAL '50' MILLISECOND)
              AND later.end_time >= earlier.end_time - INTERVAL '50' MILLISECOND
              AND later.end_time <= earlier.end_time + INTERVAL '50' MILLISECOND
          WHEN earlier.first_token > earlier.end_time
              THEN earlier.first_token >= later.start_time
              AND earlier.first_token <= later.end_time + INTERVAL '20' MILLISECOND
          ELSE later.start_time <= earlier.end_time
              AND later.end_time <= earlier.end_time + INTERVAL '20' MILLISECOND
      END
    GROUP BY earlier.trace_id, earlier.span_id, later.span_id, earlier_leads
),
paired_once AS (
    SELECT trace_id, span_id, COUNT(*) FILTER (WHERE siblings) = 1 AS siblings
    FROM (
        SELECT trace_id, earlier_id AS span_id, siblings
        FROM pairs
        UNION ALL
        SELECT trace_id, later_id AS span_id, siblings
        FROM pairs
    ) AS ends
    GROUP BY trace_id, span_id
    HAVING COUNT(*) = 1 OR COUNT(*) FILTER (WHERE siblings) = 1
)
SELECT
    pairs.trace_id,
    CASE WHEN pairs.earlier_leads THEN pairs.later_id ELSE pairs.earlier_id END AS span_id,
    CASE WHEN pairs.earlier_leads THEN pairs.earlier_id ELSE pairs.later_id END AS leader_id
FROM pairs
SEMI JOIN paired_once AS once
    ON once.trace_id = pairs.trace_id AND once.span_id = pairs.earlier_id
    AND once.siblings = pairs.siblings
SEMI JOIN paired_once AS other_once
    ON other_once.trace_id = pairs.trace_id AND other_once.span_id = pairs.later_id
    AND other_once.siblings = pairs.siblings
