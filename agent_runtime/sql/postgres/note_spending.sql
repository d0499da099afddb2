-- Note what a turn may have spent by now beside its newest checkpoint, if the lease is still held.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--   fence    BIGINT  what acquire_lease gave
--   seq      BIGINT  of the newest checkpoint
--   tally    JSON  as column of agent_checkpoint
--
-- Columns (no row when the lease was lost):
--   seq      as given
UPDATE agent_checkpoint
SET tally = %(tally)s::JSON
WHERE tenant_id = %(tenant_id)s
    AND agent_name = %(agent_name)s
    AND thread_id = %(thread_id)s
    AND seq = %(seq)s
    AND EXISTS (
        SELECT 1
        FROM agent_thread AS thread
        WHERE thread.tenant_id = %(tenant_id)s
            AND thread.agent_name = %(agent_name)s
            AND thread.thread_id = %(thread_id)s
            AND thread.fence = %(fence)s
    )
RETURNING seq;
