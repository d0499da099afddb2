-- How long the lease of a thread still holds.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--
-- Columns (no row when there is no such thread):
--   seconds  REAL  until the lease ends; not above 0 when nobody holds it
SELECT lease_until - (julianday('now') - 2440587.5) * 86400.0 AS seconds
FROM agent_thread
WHERE tenant_id = :tenant_id
    AND agent_name = :agent_name
    AND thread_id = :thread_id;
