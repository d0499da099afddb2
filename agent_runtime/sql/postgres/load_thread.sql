-- What the nodes of a thread left, in order: its conversation, and in the last row where it stands.
--
-- Parameters:
--   tenant_id, agent_name, thread_id  TEXT
--
-- Columns: seq, run_id, turn_id, step, next_node, messages, state_values, interrupts, tally, as
--   of agent_checkpoint, JSON as text; the last three are NULL but in the last row, for values may
--   be large, and a thread may have thousands of rows
SELECT
    seq, run_id, turn_id, step, next_node, messages::TEXT AS messages,
    CASE WHEN seq = newest.last_seq THEN state_values::TEXT END AS state_values,
    CASE WHEN seq = newest.last_seq THEN interrupts::TEXT END AS interrupts,
    CASE WHEN seq = newest.last_seq THEN tally::TEXT END AS tally
FROM agent_checkpoint
CROSS JOIN (
    SELECT MAX(seq) AS last_seq
    FROM agent_checkpoint
    WHERE tenant_id = %(tenant_id)s
        AND agent_name = %(agent_name)s
        AND thread_id = %(thread_id)s
) AS newest
WHERE tenant_id = %(tenant_id)s
    AND agent_name = %(agent_name)s
    AND thread_id = %(thread_id)s
ORDER BY seq;
