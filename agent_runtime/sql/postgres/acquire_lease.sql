-- Take the lease of a thread, if nobody holds it.
--
-- Sent twice by the same run it gives the same lease again, under a new fence.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--   owner    TEXT     id of the run
--   lease_s  DOUBLE   seconds from now that it holds
--   create   BOOLEAN  whether a thread that is not there is begun
--
-- Columns (no row when the lease is held, or the thread is not there):
--   fence    BIGINT   proof that the lease is held
INSERT INTO agent_thread AS thread (tenant_id, agent_name, thread_id, fence, owner, lease_until)
SELECT %(tenant_id)s, %(agent_name)s, %(thread_id)s, 1, %(owner)s,
    clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE %(create)s OR EXISTS (
    SELECT 1
    FROM agent_thread AS known
    WHERE known.tenant_id = %(tenant_id)s
        AND known.agent_name = %(agent_name)s
        AND known.thread_id = %(thread_id)s
)
ON CONFLICT (tenant_id, agent_name, thread_id) DO UPDATE
SET fence = thread.fence + 1, owner = excluded.owner, lease_until = excluded.lease_until
WHERE thread.lease_until <= clock_timestamp() OR thread.owner = excluded.owner
RETURNING fence;
