-- Give the lease of a thread back, unless it was lost.
--
-- It ends long ago, not now: of a clock that is set back, now would lie in the future.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--   fence    BIGINT  what acquire_lease gave
--
-- Columns (no row when the lease was lost):
--   fence    as given
UPDATE agent_thread
SET lease_until = to_timestamp(0)
WHERE tenant_id = %(tenant_id)s
    AND agent_name = %(agent_name)s
    AND thread_id = %(thread_id)s
    AND fence = %(fence)s
RETURNING fence;
