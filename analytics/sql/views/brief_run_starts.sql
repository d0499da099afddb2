-- Step: `run_starts` in a short way: most traces are read once, a span at a time.
--
-- It stands in for the long one where an alert asks the same again and again. The steps before it see
-- the spans of other_traces alone.
CREATE OR REPLACE TEMP VIEW brief_run_starts AS
FROM lone_starts
UNION ALL
SELECT tenant_id, started_at, ttfb_ms
FROM run_endings
WHERE source = 'logs' OR trace_id IN (SELECT trace_id FROM other_traces)
