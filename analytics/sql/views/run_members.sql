-- Step: which run a span belongs to, and whose it was, for the spans of traces with several runs only.
--
-- In every other trace the run_key is the trace_id and trace_identity says whose it was. Here a run is
-- of whom its own span names, else a span of the run (agent spans first, then the earliest), else the
-- nearest span above it that names one; never of whom another run names. Hearsay, and what a tool
-- says of itself, counts where none of these says it, as in trace_identity. A span that is below none
-- of the runs has no run (run_key and run_id are NULL), and is of whom it or a span above it names.
CREATE OR REPLACE TEMP TABLE run_members AS
WITH RECURSIVE
links AS (
    SELECT trace_id, span_id, parent_span_id, span_class, start_time, tenant_id, user_id,
        thread_id, run_id, agent_name, feature, hearsay
    FROM span_facts
    WHERE trace_id IN (SELECT trace_id FROM outermost_agents WHERE runs_of_trace > 1)
),
below (trace_id, span_id, root_id) AS (
    SELECT trace_id, span_id, span_id
    FROM outermost_agents
    WHERE runs_of_trace > 1
    UNION
    SELECT links.trace_id, links.span_id, below.root_id
    FROM below
    JOIN links ON links.trace_id = below.trace_id AND links.parent_span_id = below.span_id
),
-- The head of a span is its run, or itself where it has none.
placed AS (
    SELECT
        links.trace_id, links.span_id,
        COALESCE(MIN(below.root_id), links.span_id) AS head_id,
        COUNT(below.root_id) > 0 AS in_run
    FROM links
    LEFT JOIN below ON below.trace_id = links.trace_id AND below.span_id = links.span_id
    GROUP BY links.trace_id, links.span_id
),
-- Parents that go in a circle end at the height limit.
above (trace_id, head_id, span_id, height) AS (
    SELECT DISTINCT placed.trace_id, placed.head_id, links.parent_span_id, 1
    FROM placed
    JOIN links ON links.trace_id = placed.trace_id AND links.span_id = placed.head_id
    WHERE links.parent_span_id IS NOT NULL
    UNION
    SELECT above.trace_id, above.head_id, links.parent_span_id, above.height + 1
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.span_id
    WHERE above.height < 100 AND links.parent_span_id IS NOT NULL
),
named AS (
    SELECT
        placed.head_id, links.*,
        CASE
            WHEN links.span_class = 'tool' AND links.span_id <> placed.head_id
                THEN 'tenant_id,user_id,thread_id,run_id,agent_name,feature'
            ELSE COALESCE(links.hearsay, '')
        END AS heard,
        CASE
            WHEN links.span_id = placed.head_id THEN 0
            WHEN links.span_class = 'agent' THEN 1
            ELSE 2
        END AS distance
    FROM placed
    JOIN links ON links.trace_id = placed.trace_id AND links.span_id = placed.span_id
    UNION ALL
    SELECT
        above.head_id, links.* REPLACE (NULL AS run_id), COALESCE(links.hearsay, '') AS heard,
        above.height + 2 AS distance
    FROM above
    JOIN links ON links.trace_id = above.trace_id AND links.span_id = above.span_id
),
ordered AS (
    SELECT
        named.*,
        row_number() OVER (
            PARTITION BY trace_id, head_id ORDER BY distance, start_time, span_id
        ) AS place
    FROM named
),
-- Hearsay comes behind all else.
said AS (
    SELECT
        trace_id, head_id, tenant_id, user_id, thread_id, run_id, agent_name, feature,
        CASE WHEN heard LIKE '%tenant_id%' THEN 1000000000000 ELSE 0 END + place AS tenant_place,
        CASE WHEN heard LIKE '%user_id%' THEN 1000000000000 ELSE 0 END + place AS user_place,
        CASE WHEN heard LIKE '%thread_id%' THEN 1000000000000 ELSE 0 END + place AS thread_place,
        CASE WHEN heard LIKE '%run_id%' THEN 1000000000000 ELSE 0 END + place AS run_place,
        CASE WHEN heard LIKE '%agent_name%' THEN 1000000000000 ELSE 0 END + place AS agent_place,
        CASE WHEN heard LIKE '%feature%' THEN 1000000000000 ELSE 0 END + place AS feature_place
    FROM ordered
),
heads AS (
    SELECT
        trace_id, head_id,
        min_by(tenant_id, tenant_place) FILTER (WHERE tenant_id IS NOT NULL) AS tenant_id,
        min_by(user_id, user_place) FILTER (WHERE user_id IS NOT NULL) AS user_id,
        min_by(thread_id, thread_place) FILTER (WHERE thread_id IS NOT NULL) AS thread_id,
        min_by(run_id, run_place) FILTER (WHERE run_id IS NOT NULL) AS run_id,
        min_by(agent_name, agent_place) FILTER (WHERE agent_name IS NOT NULL) AS agent_name,
        min_by(feature, feature_place) FILTER (WHERE feature IS NOT NULL) AS feature,
        MIN(tenant_place) FILTER (WHERE tenant_id IS NOT NULL) AS tenant_place,
        MIN(user_place) FILTER (WHERE user_id IS NOT NULL) AS user_place,
        MIN(thread_place) FILTER (WHERE thread_id IS NOT NULL) AS thread_place,
        MIN(run_place) FILTER (WHERE run_id IS NOT NULL) AS run_place,
        MIN(agent_place) FILTER (WHERE agent_name IS NOT NULL) AS agent_place,
        MIN(feature_place) FILTER (WHERE feature IS NOT NULL) AS feature_place
    FROM said
    GROUP BY trace_id, head_id
)
SELECT
    placed.trace_id,
    placed.span_id,
    CASE WHEN placed.in_run THEN placed.trace_id || '/' || placed.head_id END AS run_key,
    CASE
        WHEN placed.in_run THEN COALESCE(heads.run_id, placed.trace_id || '/' || placed.head_id)
    END AS run_id,
    heads.tenant_id,
    heads.user_id,
    heads.thread_id,
    heads.agent_name,
    heads.feature,
    CASE WHEN heads.tenant_place >= 1000000000000 THEN 'tenant_id,' ELSE '' END
    || CASE WHEN heads.user_place >= 1000000000000 THEN 'user_id,' ELSE '' END
    || CASE WHEN heads.thread_place >= 1000000000000 THEN 'thread_id,' ELSE '' END
    || CASE WHEN heads.run_place >= 1000000000000 THEN 'run_id,' ELSE '' END
    || CASE WHEN heads.agent_place >= 1000000000000 THEN 'agent_name,' ELSE '' END
    || CASE WHEN heads.feature_place >= 1000000000000 THEN 'feature,' ELSE '' END AS hearsay
FROM placed
JOIN heads ON heads.trace_id = placed.trace_id AND heads.head_id = placed.head_id
