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
        placed.head_id, links.trace_id, links.span_id, links.start_time, links.run_id,
        links.tenant_id, links.user_id, links.thread_id, links.agent_name, links.feature,
        links.hearsay,
        links.span_class = 'tool' AND links.span_id <> placed.head_id AS silent,
        CASE
            WHEN links.span_id = placed.head_id THEN 0
            WHEN links.span_class = 'agent' THEN 1
            ELSE 2
        END AS distance
    FROM placed
    JOIN links ON links.trace_id = placed.trace_id AND links.span_id = placed.span_id
    UNION ALL
    SELECT
        above.head_id, links.trace_id, links.span_id, links.start_time, NULL AS run_id,
        links.tenant_id, links.user_id, links.thread_id, links.agent_name, links.feature,
        links.hearsay,
        FALSE AS silent,
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
own AS (
    SELECT
        trace_id, head_id, place,
        CASE WHEN silent OR hearsay LIKE '%tenant_id%' THEN NULL ELSE tenant_id END AS tenant_id,
        CASE WHEN silent OR hearsay LIKE '%user_id%' THEN NULL ELSE user_id END AS user_id,
        CASE WHEN silent OR hearsay LIKE '%thread_id%' THEN NULL ELSE thread_id END AS thread_id,
        CASE WHEN silent OR hearsay LIKE '%run_id%' THEN NULL ELSE run_id END AS run_id,
        CASE WHEN silent OR hearsay LIKE '%agent_name%' THEN NULL ELSE agent_name END AS agent_name,
        CASE WHEN silent OR hearsay LIKE '%feature%' THEN NULL ELSE feature END AS feature
    FROM ordered
),
said AS (
    SELECT
        trace_id,
        head_id,
        min_by(tenant_id, place) FILTER (WHERE tenant_id IS NOT NULL) AS tenant_id,
        min_by(user_id, place) FILTER (WHERE user_id IS NOT NULL) AS user_id,
        min_by(thread_id, place) FILTER (WHERE thread_id IS NOT NULL) AS thread_id,
        min_by(run_id, place) FILTER (WHERE run_id IS NOT NULL) AS run_id,
        min_by(agent_name, place) FILTER (WHERE agent_name IS NOT NULL) AS agent_name,
        min_by(feature, place) FILTER (WHERE feature IS NOT NULL) AS feature
    FROM own
    GROUP BY trace_id, head_id
),
heard AS (
    SELECT
        trace_id,
        head_id,
        min_by(tenant_id, place) FILTER (WHERE tenant_id IS NOT NULL) AS tenant_id,
        min_by(user_id, place) FILTER (WHERE user_id IS NOT NULL) AS user_id,
        min_by(thread_id, place) FILTER (WHERE thread_id IS NOT NULL) AS thread_id,
        min_by(run_id, place) FILTER (WHERE run_id IS NOT NULL) AS run_id,
        min_by(agent_name, place) FILTER (WHERE agent_name IS NOT NULL) AS agent_name,
        min_by(feature, place) FILTER (WHERE feature IS NOT NULL) AS feature
    FROM ordered
    WHERE hearsay IS NOT NULL OR silent
    GROUP BY trace_id, head_id
),
heads AS (
    SELECT
        said.trace_id, said.head_id,
        COALESCE(said.tenant_id, heard.tenant_id) AS tenant_id,
        COALESCE(said.user_id, heard.user_id) AS user_id,
        COALESCE(said.thread_id, heard.thread_id) AS thread_id,
        COALESCE(said.run_id, heard.run_id) AS run_id,
        COALESCE(said.agent_name, heard.agent_name) AS agent_name,
        COALESCE(said.feature, heard.feature) AS feature,
        CASE
            WHEN said.tenant_id IS NULL AND heard.tenant_id IS NOT NULL THEN 'tenant_id,'
            ELSE ''
        END
        || CASE WHEN said.user_id IS NULL AND heard.user_id IS NOT NULL THEN 'user_id,' ELSE '' END
        || CASE
            WHEN said.thread_id IS NULL AND heard.thread_id IS NOT NULL THEN 'thread_id,'
            ELSE ''
        END
        || CASE WHEN said.run_id IS NULL AND heard.run_id IS NOT NULL THEN 'run_id,' ELSE '' END
        || CASE
            WHEN said.agent_name IS NULL AND heard.agent_name IS NOT NULL THEN 'agent_name,'
            ELSE ''
        END
        || CASE
            WHEN said.feature IS NULL AND heard.feature IS NOT NULL THEN 'feature,'
            ELSE ''
        END AS hearsay
    FROM said
    LEFT JOIN heard ON heard.trace_id = said.trace_id AND heard.head_id = said.head_id
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
    heads.hearsay
FROM placed
JOIN heads ON heads.trace_id = placed.trace_id AND heads.head_id = placed.head_id
