-- Step: of every run that one span tells all of, what run_starts says: all traces but other_traces.
CREATE OR REPLACE TEMP VIEW lone_starts AS
SELECT spans.tenant_id, spans.start_time AS started_at, spans.ttfb_ms
FROM lake_spans AS spans
ANTI JOIN other_traces ON other_traces.trace_id = spans.trace_id
WHERE spans.span_class = 'agent'
