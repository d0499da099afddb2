-- Hold the lease of a thread for longer.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--   fence    INTEGER  what acquire_lease gave
--   lease_s  REAL  seconds from now that it holds
--
-- Columns (no row when the lease was lost):
--   fence    as given
UPDATE agent_thread
SET lease_until = (julianday('now') - 2440587.5) * 86400.0 + :lease_s
WHERE tenant_id = :tenant_id
    AND agent_name = :agent_name
    AND thread_id = :thread_id
    AND fence = :fence
RETURNING fence;
