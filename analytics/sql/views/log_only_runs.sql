-- Step: runs known from their summary line alone; a run that left spans is counted by its spans.
CREATE OR REPLACE VIEW log_only_runs AS
SELECT log_runs.*
FROM log_runs
ANTI JOIN run_spans AS same_run ON same_run.run_id = log_runs.run_id
ANTI JOIN run_spans AS same_trace ON same_trace.trace_id = log_runs.trace_id
