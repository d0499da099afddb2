-- Step: `run_starts` in a short way: most traces are read once, a span at a time.
--
-- It stands in for the long one where an alert asks about many spans again and again. The steps before
-- it see the spans of other_traces alone.
CREATE OR REPLACE TEMP VIEW brief_run_starts AS
SELECT spans.tenant_id, spans.start_time AS started_at, spans.ttfb_ms
FROM lake_spans AS spans
ANTI JOIN other_traces ON other_traces.trace_id = spans.trace_id
WHERE spans.span_class = 'agent'
UNION ALL
SELECT tenant_id, started_at, ttfb_ms
FROM run_endings
WHERE source = 'logs' OR trace_id IN (SELECT trace_id FROM other_traces)
