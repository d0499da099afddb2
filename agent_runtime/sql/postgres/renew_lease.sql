-- Hold the lease of a thread for longer.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--   fence    BIGINT  what acquire_lease gave
--   lease_s  DOUBLE  seconds from now that it holds
--
-- Columns (no row when the lease was lost):
--   fence    as given
UPDATE agent_thread
SET lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE tenant_id = %(tenant_id)s
    AND agent_name = %(agent_name)s
    AND thread_id = %(thread_id)s
    AND fence = %(fence)s
RETURNING fence;
