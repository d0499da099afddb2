-- Step: what the other steps read of spans: every column but the wide ones.
--
-- It is a table where there are few rows, which are then read from their files once, however many steps
-- ask for them; and a view where there are many, of which a step reads the columns it needs.
CREATE OR REPLACE TEMP TABLE span_facts AS
SELECT * EXCLUDE (
    day, status_message, scope_version, attributes, resource_attributes, events, links
)
FROM lake_spans
UNION ALL
SELECT * FROM earlier_spans
