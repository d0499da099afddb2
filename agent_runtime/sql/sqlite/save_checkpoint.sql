-- Write a checkpoint, if the lease is still held.
--
-- Sent twice by the same run it is written once.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--   fence    INTEGER  what acquire_lease gave
--   seq      INTEGER  one more than the thread's last
--   run_id, turn_id, step, next_node, messages, state_values, interrupts, tally
--            as columns of agent_checkpoint
--
-- Columns (no row when the lease was lost):
--   seq      as given
INSERT INTO agent_checkpoint AS written (
    tenant_id, agent_name, thread_id, seq, run_id, turn_id, step, next_node, messages, state_values,
    interrupts, tally
)
SELECT tenant_id, agent_name, thread_id, :seq, :run_id, :turn_id, :step, :next_node, :messages,
    :state_values, :interrupts, :tally
FROM agent_thread
WHERE tenant_id = :tenant_id
    AND agent_name = :agent_name
    AND thread_id = :thread_id
    AND fence = :fence
ON CONFLICT (tenant_id, agent_name, thread_id, seq) DO UPDATE
SET run_id = excluded.run_id
WHERE written.run_id = excluded.run_id
RETURNING seq;
