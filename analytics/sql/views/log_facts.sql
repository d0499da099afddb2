-- Step: what the other steps read of log records: every column but the wide ones, of the records that tell
-- of agents, model and tool calls and nodes, of the end of a model call, or of what a span raised.
--
-- A table or a view, as span_facts.
CREATE OR REPLACE TEMP TABLE log_facts AS
SELECT * EXCLUDE (
    day, observed_time, severity, severity_number, body, scope_version, attributes,
    resource_attributes
)
FROM lake_logs
WHERE span_class IN ('agent', 'llm', 'tool', 'node') OR event_name = 'gen_ai.choice'
   OR event_name = 'exception' OR event_name LIKE '%.exception'
