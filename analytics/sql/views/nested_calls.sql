-- Step: the model spans that report a call which another model span, inside or around them, stands for.
--
-- A wrapper yields to the calls inside it, unless it alone reports usage: then they are in it. A call
-- inside that failed is a try of its own, billed beside the one that answered (pydantic-ai's
-- fallback), unless the wrapper failed with it. Embeddings inside a chat (a semantic cache, a
-- retrieval) are no part of it. Parents that go in a circle say nothing.
--
--   leader_id  VARCHAR  the span that stands for the call; NULL if there are several
CREATE OR REPLACE TEMP TABLE nested_calls AS
WITH
facts AS (
    SELECT
        trace_id,
        span_id,
        COUNT(input_tokens) + COUNT(output_tokens) > 0 AS has_usage,
        COUNT(*) FILTER (WHERE outcome = 'error' OR status = 'error') > 0 AS failed,
        COUNT(*) FILTER (WHERE LOWER(operation) LIKE '%embed%') > 0 AS embeds
    FROM span_facts
    WHERE span_class = 'llm' AND trace_id IN (SELECT trace_id FROM inside_calls)
    GROUP BY trace_id, span_id
),
kin AS (
    SELECT
        inside.trace_id, inside.outer_id, inside.span_id AS inner_id,
        outer_call.has_usage AS outer_has_usage, inner_call.has_usage AS inner_has_usage
    FROM inside_calls AS inside
    JOIN facts AS outer_call
        ON outer_call.trace_id = inside.trace_id AND outer_call.span_id = inside.outer_id
    JOIN facts AS inner_call
        ON inner_call.trace_id = inside.trace_id AND inner_call.span_id = inside.span_id
    ANTI JOIN inside_calls AS circle
        ON circle.trace_id = inside.trace_id
        AND circle.outer_id = inside.span_id AND circle.span_id = inside.outer_id
    WHERE (outer_call.failed OR NOT inner_call.failed)
      AND (outer_call.embeds OR NOT inner_call.embeds)
),
wrappers AS (
    SELECT
        trace_id,
        outer_id,
        COUNT(*) FILTER (WHERE inner_has_usage) > 0
            OR COUNT(*) FILTER (WHERE outer_has_usage) = 0 AS yields
    FROM kin
    GROUP BY trace_id, outer_id
),
absorbed AS (
    SELECT kin.trace_id, kin.inner_id AS span_id, MIN(kin.outer_id) AS leader_id
    FROM kin
    JOIN wrappers ON wrappers.trace_id = kin.trace_id AND wrappers.outer_id = kin.outer_id
    WHERE NOT wrappers.yields
    GROUP BY kin.trace_id, kin.inner_id
),
-- The calls inside a wrapper that stand; those that report usage, where one does.
standing AS (
    SELECT
        kin.trace_id, kin.outer_id,
        COUNT(*) AS calls,
        MIN(kin.inner_id) AS inner_id,
        COUNT(*) FILTER (WHERE kin.inner_has_usage) AS calls_with_usage,
        MIN(CASE WHEN kin.inner_has_usage THEN kin.inner_id END) AS inner_with_usage
    FROM kin
    ANTI JOIN (SELECT trace_id, outer_id FROM wrappers WHERE yields) AS yielding
        ON yielding.trace_id = kin.trace_id AND yielding.outer_id = kin.inner_id
    ANTI JOIN absorbed ON absorbed.trace_id = kin.trace_id AND absorbed.span_id = kin.inner_id
    GROUP BY kin.trace_id, kin.outer_id
)
SELECT trace_id, span_id, leader_id
FROM absorbed
UNION ALL
SELECT
    wrappers.trace_id,
    wrappers.outer_id AS span_id,
    CASE
        WHEN standing.calls_with_usage = 1 THEN standing.inner_with_usage
        WHEN standing.calls_with_usage = 0 AND standing.calls = 1 THEN standing.inner_id
    END AS leader_id
FROM wrappers
LEFT JOIN standing
    ON standing.trace_id = wrappers.trace_id AND standing.outer_id = wrappers.outer_id
ANTI JOIN absorbed
    ON absorbed.trace_id = wrappers.trace_id AND absorbed.span_id = wrappers.outer_id
WHERE wrappers.yields
