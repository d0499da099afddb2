-- Threads and what their nodes left.
--
-- agent_thread      who runs a thread now: a row per thread
--   fence           grows with each run that takes the lease; a run with an older one has lost it
--   owner           id of the run that took it last
--   lease_until     nobody else may run the thread before; in the past once it was given back
-- agent_checkpoint  a row for what the user said, and one behind each node
--   seq             of the thread, from 1; the messages of all rows in this order are its conversation
--   step            nodes executed in the turn so far
--   next_node       where the turn goes on; __end__ once it is done
--   messages        JSON array of what was added to the conversation
--   state_values    JSON object, all values as they are now
--   interrupts      JSON object of what a human is asked and of what was answered in next_node
--   tally           JSON object of what the run had used so far
CREATE TABLE agent_thread (
    tenant_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    fence BIGINT NOT NULL,
    owner TEXT NOT NULL,
    lease_until TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, agent_name, thread_id)
);

CREATE TABLE agent_checkpoint (
    tenant_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    run_id TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    next_node TEXT NOT NULL,
    messages JSON NOT NULL,
    state_values JSON NOT NULL,
    interrupts JSON NOT NULL,
    tally JSON NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, agent_name, thread_id, seq),
    FOREIGN KEY (tenant_id, agent_name, thread_id) REFERENCES agent_thread
);
