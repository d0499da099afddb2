-- Which incidents are not over, and how did they begin?
SELECT firing FROM incidents WHERE resolved_at IS NULL ORDER BY started_at
