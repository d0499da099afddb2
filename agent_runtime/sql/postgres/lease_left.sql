-- How long the lease of a thread still holds.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--
-- Columns (no row when there is no such thread):
--   seconds  DOUBLE  until the lease ends; not above 0 when nobody holds it
SELECT extract(epoch FROM lease_until - clock_timestamp())::DOUBLE PRECISION AS seconds
FROM agent_thread
WHERE tenant_id = %(tenant_id)s
    AND agent_name = %(agent_name)s
    AND thread_id = %(thread_id)s;
