-- Step: who a trace was for, as far as any of its spans says.
--
-- Instrumentations put identity on some spans only (the HTTP root, the agent). A span that has none
-- takes its run's, then its trace's. Where the spans of a trace disagree, the least text wins, so
-- that the answer does not depend on the order of arrival.
CREATE OR REPLACE VIEW trace_identity AS
SELECT
    trace_id,
    MIN(tenant_id) AS tenant_id,
    MIN(user_id) AS user_id,
    MIN(thread_id) AS thread_id,
    MIN(run_id) AS run_id,
    MIN(agent_name) AS agent_name,
    MIN(feature) AS feature
FROM lake_spans
GROUP BY trace_id
