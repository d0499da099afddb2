-- Step: spans that are no model calls but whose usage counts, because no span below them reports any.
--
-- Frameworks repeat on agent, node or tool spans what their model calls used; that is not added. Some
-- report on the agent span alone; that is all there is. Embeddings below are in no sum that has
-- output. Inside a model call that reports its usage, another report adds nothing, unless it is of a
-- try that failed (pydantic-ai's fallback). A sum over what a worker used (operation `subtask`, AG2) stands
-- beside the worker's spans, where it has some: it counts only where the worker left no agent span.
--
-- The recursion sees only traces in which such a span reports usage. Where their parents go in a
-- circle, the earliest stands.
CREATE OR REPLACE TEMP TABLE rollup_spans AS
WITH RECURSIVE
workers AS (
    SELECT trace_id, span_id, agent_name
    FROM span_facts
    WHERE span_class = 'agent'
      AND trace_id IN (SELECT trace_id FROM span_facts WHERE operation = 'subtask')
),
rollups AS (
    SELECT
        trace_id, span_id, parent_span_id, run_id, thread_id, tenant_id, user_id, agent_name,
        feature, node, start_time, duration_ms, provider, request_model, response_model,
        response_id, finish_reason, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, outcome, outcome_reason, status, error_class,
        attempt
    FROM span_facts AS sums
    ANTI JOIN workers
        ON workers.trace_id = sums.trace_id AND workers.agent_name = sums.agent_name
        AND workers.span_id <> sums.parent_span_id AND sums.operation = 'subtask'
    WHERE span_class <> 'llm'
      AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
    QUALIFY row_number() OVER (PARTITION BY trace_id, span_id ORDER BY received_at) = 1
),
sent AS (
    SELECT
        trace_id, span_id, parent_span_id,
        input_tokens IS NOT NULL OR output_tokens IS NOT NULL AS has_usage,
        span_class = 'llm' AND COALESCE(LOWER(operation) LIKE '%embed%', FALSE) AS embeds
    FROM span_facts
    WHERE trace_id IN (SELECT trace_id FROM rollups)
),
-- Whatever lies between, the spans of a trace are below its root, if it has one.
roots AS (
    SELECT trace_id, MIN(span_id) AS root_id
    FROM sent
    WHERE parent_span_id IS NULL
    GROUP BY trace_id
    HAVING MIN(span_id) = MAX(span_id)
),
-- Under the root are also those whose parent was lost or is still to come.
links AS (
    SELECT trace_id, span_id, parent_span_id, has_usage, embeds
    FROM sent
    WHERE parent_span_id IS NOT NULL
    UNION ALL
    SELECT orphans.trace_id, orphans.span_id, roots.root_id, orphans.has_usage, orphans.embeds
    FROM sent AS orphans
    JOIN roots ON roots.trace_id = orphans.trace_id
    ANTI JOIN sent AS parents
        ON parents.trace_id = orphans.trace_id AND parents.span_id = orphans.parent_span_id
    WHERE orphans.parent_span_id IS NOT NULL
),
-- Every span above one that reports usage.
above (trace_id, ancestor_id, embeds) AS (
    SELECT trace_id, parent_span_id, embeds
    FROM links
    WHERE has_usage AND parent_span_id <> span_id
    UNION
    SELECT links.trace_id, links.parent_span_id, above.embeds
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.ancestor_id
),
-- Every span inside a model call that reports usage.
inside AS (
    SELECT
        inside.trace_id, inside.span_id,
        COUNT(*) FILTER (WHERE calls.outcome = 'error' OR calls.status = 'error') > 0 AS failed
    FROM inside_calls AS inside
    JOIN span_facts AS calls
        ON calls.trace_id = inside.trace_id AND calls.span_id = inside.outer_id
    WHERE calls.input_tokens IS NOT NULL OR calls.output_tokens IS NOT NULL
    GROUP BY inside.trace_id, inside.span_id
),
deepest AS (
    SELECT rollups.*
    FROM rollups
    ANTI JOIN above
        ON above.trace_id = rollups.trace_id AND above.ancestor_id = rollups.span_id
        AND (NOT above.embeds OR COALESCE(rollups.output_tokens, 0) = 0)
    ANTI JOIN inside
        ON inside.trace_id = rollups.trace_id AND inside.span_id = rollups.span_id
        AND (
            inside.failed
            OR NOT COALESCE(rollups.outcome = 'error' OR rollups.status = 'error', FALSE)
        )
),
circular AS (
    SELECT rollups.*
    FROM rollups
    ANTI JOIN (
        SELECT trace_id FROM deepest
        UNION ALL
        SELECT trace_id
        FROM span_facts
        WHERE span_class = 'llm' AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
    ) AS counted ON counted.trace_id = rollups.trace_id
    QUALIFY row_number() OVER (
        PARTITION BY rollups.trace_id ORDER BY rollups.start_time, rollups.span_id
    ) = 1
)
SELECT * FROM deepest
UNION ALL
SELECT * FROM circular
