-- Step: the tool spans that tell of a call for which another tool span stands.
--
-- Two libraries that saw the same call, a framework and the MCP server behind it, the span of a tool
-- and that of its execution (Claude Code), a tool and the tries inside it: the outermost is the call.
-- The next tool span below one is of the same call if it has its tool_call_id or, where one of them
-- has none, its name, perhaps without the server's before it (mcp__files__read), or no name. What an
-- agent or a model inside the tool asked for is not.
--
-- Side by side the tool_call_id says it, of spans of different libraries: one library tells each try
-- once, so that the second span of one with the same id is a second try. Where one of them has no id,
-- two libraries of one service tell of one call if the name is the same, if they begin and end together,
-- and if the spans above them are of two libraries, too, each of which tells a tree of its own; not so
-- where one could be of two, such as of parallel calls, nor in a trace with more than 2000, each of
-- which would be held against all others.
--
--   leader_id  VARCHAR  the span that stands for the call
CREATE OR REPLACE TEMP TABLE merged_tools AS
WITH RECURSIVE
tools AS (
    SELECT
        trace_id, span_id,
        MIN(parent_span_id) AS parent_span_id,
        MIN(COALESCE(service_name, '')) AS service_name,
        MIN(scope_name) AS scope_name,
        MIN(tool_name) AS tool_name,
        MIN(tool_call_id) AS tool_call_id,
        MIN(start_time) AS start_time,
        MAX(end_time) AS end_time
    FROM span_facts
    WHERE span_class = 'tool'
    GROUP BY trace_id, span_id
),
-- What lies below a tool at once; most tools have nothing below.
children AS (
    SELECT
        inner_spans.trace_id, tools.span_id AS outer_id, inner_spans.span_id,
        inner_spans.span_class = 'tool' AS is_tool
    FROM span_facts AS inner_spans
    JOIN tools
        ON tools.trace_id = inner_spans.trace_id
        AND tools.span_id = inner_spans.parent_span_id
    WHERE inner_spans.span_class IN ('tool', 'node', 'other')
),
links AS (
    SELECT trace_id, parent_span_id, span_id, span_class = 'tool' AS is_tool
    FROM span_facts
    WHERE span_class IN ('tool', 'node', 'other')
      AND trace_id IN (SELECT trace_id FROM children)
),
-- Down to the next tool. UNION ends loops.
below (trace_id, outer_id, span_id, is_tool) AS (
    SELECT trace_id, outer_id, span_id, is_tool FROM children
    UNION
    SELECT below.trace_id, below.outer_id, links.span_id, links.is_tool
    FROM below
    JOIN links ON links.trace_id = below.trace_id AND links.parent_span_id = below.span_id
    WHERE NOT below.is_tool
),
inside AS (
    SELECT below.trace_id, below.outer_id, below.span_id
    FROM below
    JOIN tools AS inner_tool
        ON inner_tool.trace_id = below.trace_id AND inner_tool.span_id = below.span_id
    JOIN tools AS outer_tool
        ON outer_tool.trace_id = below.trace_id AND outer_tool.span_id = below.outer_id
    WHERE below.is_tool AND below.span_id <> below.outer_id
      AND CASE
          WHEN outer_tool.tool_call_id IS NOT NULL AND inner_tool.tool_call_id IS NOT NULL
              THEN outer_tool.tool_call_id = inner_tool.tool_call_id
          WHEN inner_tool.tool_name IS NULL THEN TRUE
          ELSE outer_tool.tool_name = inner_tool.tool_name
              OR RIGHT(outer_tool.tool_name, LENGTH(inner_tool.tool_name) + 1) IN (
                  '_' || inner_tool.tool_name, '.' || inner_tool.tool_name,
                  '/' || inner_tool.tool_name, '-' || inner_tool.tool_name
              )
      END
),
-- Every span of the same call above one.
above (trace_id, span_id, outer_id) AS (
    SELECT trace_id, span_id, outer_id FROM inside
    UNION
    SELECT above.trace_id, above.span_id, inside.outer_id
    FROM above
    JOIN inside ON inside.trace_id = above.trace_id AND inside.span_id = above.outer_id
),
-- Of parents that go in a circle none is the outermost.
outermost AS (
    SELECT above.trace_id, above.span_id, MIN(above.outer_id) AS leader_id
    FROM above
    ANTI JOIN inside ON inside.trace_id = above.trace_id AND inside.span_id = above.outer_id
    GROUP BY above.trace_id, above.span_id
),
told_by_two AS (
    SELECT trace_id
    FROM tools
    GROUP BY trace_id
    HAVING MIN(scope_name) <> MAX(scope_name)
),
calls AS (
    SELECT tools.*
    FROM tools
    SEMI JOIN told_by_two ON told_by_two.trace_id = tools.trace_id
    ANTI JOIN outermost
        ON outermost.trace_id = tools.trace_id AND outermost.span_id = tools.span_id
),
named_twice AS (
    SELECT trace_id, tool_call_id
    FROM calls
    WHERE tool_call_id IS NOT NULL
    GROUP BY trace_id, tool_call_id
    HAVING MIN(scope_name) <> MAX(scope_name)
),
tries AS (
    SELECT
        calls.*,
        row_number() OVER (
            PARTITION BY calls.trace_id, calls.tool_call_id, calls.scope_name
            ORDER BY calls.start_time, calls.span_id
        ) AS try
    FROM calls
    SEMI JOIN named_twice
        ON named_twice.trace_id = calls.trace_id
        AND named_twice.tool_call_id = calls.tool_call_id
),
parents AS (
    SELECT trace_id, span_id, MIN(scope_name) AS scope_name
    FROM span_facts
    WHERE trace_id IN (SELECT trace_id FROM told_by_two)
    GROUP BY trace_id, span_id
),
alone AS (
    SELECT calls.*, parents.scope_name AS told_below
    FROM calls
    JOIN parents
        ON parents.trace_id = calls.trace_id AND parents.span_id = calls.parent_span_id
    SEMI JOIN (SELECT trace_id FROM calls GROUP BY trace_id HAVING COUNT(*) <= 2000) AS few
        ON few.trace_id = calls.trace_id
    ANTI JOIN tries ON tries.trace_id = calls.trace_id AND tries.span_id = calls.span_id
),
-- Who begins near the end of a tenth of a second is in the next one, too.
moments AS (
    SELECT *, epoch_us(start_time) // 100000 AS moment FROM alone
),
near AS (
    SELECT *, moment AS of_moment FROM moments
    UNION ALL
    SELECT *, moment + 1 AS of_moment FROM moments
),
together AS (
    SELECT earlier.trace_id, earlier.span_id AS leader_id, later.span_id
    FROM near AS earlier
    JOIN moments AS later
        ON later.trace_id = earlier.trace_id
        AND later.moment = earlier.of_moment
        AND later.service_name = earlier.service_name
        AND later.scope_name <> earlier.scope_name
        AND later.tool_name = earlier.tool_name
        AND later.told_below <> earlier.told_below
        AND (
            earlier.start_time < later.start_time
            OR (earlier.start_time = later.start_time AND earlier.span_id < later.span_id)
        )
    WHERE (earlier.tool_call_id IS NULL OR later.tool_call_id IS NULL)
      AND later.start_time <= LEAST(earlier.end_time, earlier.start_time + INTERVAL '20' MILLISECOND)
      AND later.end_time >= earlier.end_time - INTERVAL '20' MILLISECOND
      AND later.end_time <= earlier.end_time + INTERVAL '20' MILLISECOND
),
paired_once AS (
    SELECT trace_id, span_id
    FROM (
        SELECT trace_id, span_id
        FROM together
        UNION ALL
        SELECT trace_id, leader_id AS span_id
        FROM together
    ) AS ends
    GROUP BY trace_id, span_id
    HAVING COUNT(*) = 1
),
side_by_side AS (
    SELECT
        trace_id, span_id,
        FIRST_VALUE(span_id) OVER (
            PARTITION BY trace_id, tool_call_id, try ORDER BY start_time, span_id
        ) AS leader_id
    FROM tries
    UNION ALL
    SELECT together.trace_id, together.span_id, together.leader_id
    FROM together
    SEMI JOIN paired_once AS once
        ON once.trace_id = together.trace_id AND once.span_id = together.span_id
    SEMI JOIN paired_once AS other_once
        ON other_once.trace_id = together.trace_id AND other_once.span_id = together.leader_id
)
SELECT
    outermost.trace_id, outermost.span_id,
    COALESCE(side_by_side.leader_id, outermost.leader_id) AS leader_id
FROM outermost
LEFT JOIN side_by_side
    ON side_by_side.trace_id = outermost.trace_id
    AND side_by_side.span_id = outermost.leader_id
UNION ALL
SELECT trace_id, span_id, leader_id
FROM side_by_side
WHERE span_id <> leader_id
