-- Write a checkpoint, if the lease is still held.
--
-- Sent twice by the same run it is written once. The thread's row is locked, so that nobody takes the
-- lease between the check and the write.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--   fence    BIGINT  what acquire_lease gave
--   seq      BIGINT  one more than the thread's last
--   run_id, turn_id, step, next_node, messages, state_values, interrupts, tally
--            as columns of agent_checkpoint
--
-- Columns (no row when the lease was lost):
--   seq      as given
WITH held AS (
    SELECT tenant_id, agent_name, thread_id
    FROM agent_thread
    WHERE tenant_id = %(tenant_id)s
        AND agent_name = %(agent_name)s
        AND thread_id = %(thread_id)s
        AND fence = %(fence)s
    FOR UPDATE
)

INSERT INTO agent_checkpoint AS written (
    tenant_id, agent_name, thread_id, seq, run_id, turn_id, step, next_node, messages, state_values,
    interrupts, tally
)
SELECT tenant_id, agent_name, thread_id, %(seq)s, %(run_id)s, %(turn_id)s, %(step)s, %(next_node)s,
    %(messages)s::JSON, %(state_values)s::JSON, %(interrupts)s::JSON, %(tally)s::JSON
FROM held
ON CONFLICT (tenant_id, agent_name, thread_id, seq) DO UPDATE
SET run_id = excluded.run_id
WHERE written.run_id = excluded.run_id
RETURNING seq;
