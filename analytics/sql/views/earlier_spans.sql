-- Step: the spans from before the range that those of the range cannot be judged without; as span_facts.
--
-- A run of hours has said at its beginning whose it is: of a trace whose root is not in the range all
-- earlier spans are here. A gateway's cache repeats a response that is paid for: of the trace in which
-- it was given first, too. Ids of up to 12 characters come again for other responses (repeated_calls).
CREATE OR REPLACE TEMP TABLE earlier_spans AS
WITH
rootless AS (
    SELECT trace_id
    FROM lake_spans
    GROUP BY trace_id
    HAVING COUNT(*) FILTER (WHERE parent_span_id IS NULL) = 0
),
responses AS (
    SELECT response_id
    FROM lake_spans
    WHERE span_class = 'llm' AND LENGTH(response_id) > 12
    GROUP BY response_id
),
kin AS (
    SELECT trace_id
    FROM lake_earlier_spans
    WHERE trace_id IN (SELECT trace_id FROM rootless)
    UNION
    SELECT trace_id
    FROM lake_earlier_spans
    WHERE span_class = 'llm' AND response_id IN (SELECT response_id FROM responses)
)
SELECT * EXCLUDE (
    day, status_message, scope_version, attributes, resource_attributes, events, links
)
FROM lake_earlier_spans
WHERE trace_id IN (SELECT trace_id FROM kin)
