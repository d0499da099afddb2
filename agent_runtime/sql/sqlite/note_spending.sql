-- Note what a turn may have spent by now beside its newest checkpoint, if the lease is still held.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--   fence    INTEGER  what acquire_lease gave
--   seq      INTEGER  of the newest checkpoint
--   tally    JSON as text  as column of agent_checkpoint
--
-- Columns (no row when the lease was lost):
--   seq      as given
UPDATE agent_checkpoint
SET tally = :tally
WHERE tenant_id = :tenant_id
    AND agent_name = :agent_name
    AND thread_id = :thread_id
    AND seq = :seq
    AND EXISTS (
        SELECT 1
        FROM agent_thread AS thread
        WHERE thread.tenant_id = :tenant_id
            AND thread.agent_name = :agent_name
            AND thread.thread_id = :thread_id
            AND thread.fence = :fence
    )
RETURNING seq;
