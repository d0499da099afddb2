-- Take the lease of a thread, if nobody holds it.
--
-- Sent twice by the same run it gives the same lease again, under a new fence.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--   owner    TEXT     id of the run
--   lease_s  REAL     seconds from now that it holds
--   create   INTEGER  whether a thread that is not there is begun
--
-- Columns (no row when the lease is held, or the thread is not there):
--   fence    INTEGER  proof that the lease is held
INSERT INTO agent_thread AS thread (tenant_id, agent_name, thread_id, fence, owner, lease_until)
SELECT :tenant_id, :agent_name, :thread_id, 1, :owner,
    (julianday('now') - 2440587.5) * 86400.0 + :lease_s
WHERE :create OR EXISTS (
    SELECT 1
    FROM agent_thread AS known
    WHERE known.tenant_id = :tenant_id
        AND known.agent_name = :agent_name
        AND known.thread_id = :thread_id
)
ON CONFLICT (tenant_id, agent_name, thread_id) DO UPDATE
SET fence = thread.fence + 1, owner = excluded.owner, lease_until = excluded.lease_until
WHERE thread.lease_until <= (julianday('now') - 2440587.5) * 86400.0
    OR thread.owner = excluded.owner
RETURNING fence;
