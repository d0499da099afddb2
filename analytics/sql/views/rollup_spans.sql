-- Step: agent and node spans whose usage counts, because no span below them reports any.
--
-- Frameworks repeat on agent and node spans what their model calls used; that is not added. Some
-- report on the agent span alone; that is all there is.
--
-- The recursion sees only traces in which an agent or node span reports usage.
CREATE OR REPLACE TEMP TABLE rollup_spans AS
WITH RECURSIVE
rollups AS (
    SELECT
        trace_id, span_id, parent_span_id, run_id, thread_id, tenant_id, user_id, agent_name,
        feature, node, start_time, duration_ms, provider, request_model, response_model,
        response_id, finish_reason, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, outcome, status, error_class, attempt
    FROM lake_spans
    WHERE span_class IN ('agent', 'node')
      AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
    QUALIFY row_number() OVER (PARTITION BY trace_id, span_id ORDER BY received_at) = 1
),
links AS (
    SELECT trace_id, span_id, parent_span_id, span_class, input_tokens, output_tokens
    FROM lake_spans
    WHERE parent_span_id IS NOT NULL
      AND trace_id IN (SELECT trace_id FROM rollups)
),
-- Every span above one that reports usage.
above (trace_id, ancestor_id) AS (
    SELECT trace_id, parent_span_id
    FROM links
    WHERE span_class IN ('llm', 'agent', 'node')
      AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
      AND parent_span_id <> span_id
    UNION
    SELECT links.trace_id, links.parent_span_id
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.ancestor_id
)
SELECT rollups.*
FROM rollups
ANTI JOIN above ON above.trace_id = rollups.trace_id AND above.ancestor_id = rollups.span_id
