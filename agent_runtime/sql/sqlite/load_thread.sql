-- What the nodes of a thread left, in order: its conversation, and in the last row where it stands.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--
-- Columns: seq, run_id, turn_id, step, next_node, messages, state_values, interrupts, tally, as
--   of agent_checkpoint, JSON as text; all but seq and messages are of use in the last row only
SELECT
    seq, run_id, turn_id, step, next_node, messages AS messages, state_values AS state_values,
    interrupts AS interrupts, tally AS tally
FROM agent_checkpoint
WHERE tenant_id = :tenant_id
    AND agent_name = :agent_name
    AND thread_id = :thread_id
ORDER BY seq;
