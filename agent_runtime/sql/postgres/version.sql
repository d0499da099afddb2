-- The last step that was taken, 0 before the first.
--
-- Columns (one row):
--   version  INTEGER
SELECT coalesce(max(version), 0) AS version
FROM agent_schema;
