-- Step: of every run whose it is, when it began and its TTFB, as in `run_endings`, but most traces are
-- read once, a span at a time: for an alert that looks at all that is new again and again.
CREATE OR REPLACE TEMP VIEW run_starts AS
SELECT spans.tenant_id, spans.start_time AS started_at, spans.ttfb_ms
FROM lake_spans AS spans
ANTI JOIN other_traces ON other_traces.trace_id = spans.trace_id
WHERE spans.span_class = 'agent'
UNION ALL
SELECT tenant_id, started_at, ttfb_ms
FROM run_endings
WHERE source = 'logs' OR trace_id IN (SELECT trace_id FROM other_traces)
