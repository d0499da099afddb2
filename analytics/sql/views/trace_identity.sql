-- Step: who a trace was for, as far as any of its spans says; one row per trace.
--
-- Instrumentations put identity on some spans only (the HTTP root, the agent). A span that has none
-- takes its run's, which is, in a trace with one run, this: what the earliest agent span with a value
-- says, else the earliest span with a value. What spans only have from their resource, baggage or
-- metadata (hearsay) counts where no span says it itself, and so does what a tool says of itself, which
-- may be another's: a service that is called as a tool names whom it works for.
--
-- Of all that name a value the first in place does: its time in microseconds, 10^18 more where it is no
-- agent, and 2 * 10^18 more where it is hearsay.
--
--   hearsay      VARCHAR  the columns of which no span but a tool says the value itself
--   agent_spans  BIGINT   how many agent spans it has, copies counted
--   call_spans   BIGINT   how many model and tool spans it has, copies counted
--   only_call    BOOLEAN  it has one model or tool span, of which there may be copies
CREATE OR REPLACE TEMP TABLE trace_identity AS
WITH
said AS (
    SELECT
        *,
        epoch_us(start_time)
        + CASE WHEN span_class = 'agent' THEN 0 ELSE 1000000000000000000 END AS place,
        CASE
            WHEN span_class = 'tool'
                THEN 'tenant_id,user_id,thread_id,run_id,agent_name,feature'
            ELSE COALESCE(hearsay, '')
        END AS heard
    FROM span_facts
),
placed AS (
    SELECT
        trace_id, span_id, span_class, tenant_id, user_id, thread_id, run_id, agent_name, feature,
        CASE WHEN heard LIKE '%tenant_id%' THEN 2000000000000000000 ELSE 0 END + place
            AS tenant_place,
        CASE WHEN heard LIKE '%user_id%' THEN 2000000000000000000 ELSE 0 END + place AS user_place,
        CASE WHEN heard LIKE '%thread_id%' THEN 2000000000000000000 ELSE 0 END + place
            AS thread_place,
        CASE WHEN heard LIKE '%run_id%' THEN 2000000000000000000 ELSE 0 END + place AS run_place,
        CASE WHEN heard LIKE '%agent_name%' THEN 2000000000000000000 ELSE 0 END + place
            AS agent_place,
        CASE WHEN heard LIKE '%feature%' THEN 2000000000000000000 ELSE 0 END + place
            AS feature_place
    FROM said
),
named AS (
    SELECT
        trace_id,
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
        MIN(feature_place) FILTER (WHERE feature IS NOT NULL) AS feature_place,
        COUNT(*) FILTER (WHERE span_class = 'agent') AS agent_spans,
        COUNT(*) FILTER (WHERE span_class IN ('llm', 'tool')) AS call_spans,
        MIN(span_id) FILTER (WHERE span_class IN ('llm', 'tool'))
            = MAX(span_id) FILTER (WHERE span_class IN ('llm', 'tool')) AS only_call
    FROM placed
    GROUP BY trace_id
)
SELECT
    trace_id, tenant_id, user_id, thread_id, COALESCE(run_id, trace_id) AS run_id, agent_name,
    feature,
    CASE WHEN tenant_place >= 2000000000000000000 THEN 'tenant_id,' ELSE '' END
    || CASE WHEN user_place >= 2000000000000000000 THEN 'user_id,' ELSE '' END
    || CASE WHEN thread_place >= 2000000000000000000 THEN 'thread_id,' ELSE '' END
    || CASE WHEN run_place >= 2000000000000000000 THEN 'run_id,' ELSE '' END
    || CASE WHEN agent_place >= 2000000000000000000 THEN 'agent_name,' ELSE '' END
    || CASE WHEN feature_place >= 2000000000000000000 THEN 'feature,' ELSE '' END AS hearsay,
    agent_spans, call_spans, only_call
FROM named
