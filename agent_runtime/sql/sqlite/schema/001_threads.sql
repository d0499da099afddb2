-- Threads and what their nodes left; the columns are those of ../../postgres/schema/001_threads.sql.
--
-- Times are seconds since 1970-01-01 UTC.
CREATE TABLE agent_thread (
    tenant_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    fence INTEGER NOT NULL,
    owner TEXT NOT NULL,
    lease_until REAL NOT NULL,
    PRIMARY KEY (tenant_id, agent_name, thread_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent_checkpoint (
    tenant_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    next_node TEXT NOT NULL,
    messages TEXT NOT NULL,
    state_values TEXT NOT NULL,
    interrupts TEXT NOT NULL,
    tally TEXT NOT NULL,
    created_at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0),
    PRIMARY KEY (tenant_id, agent_name, thread_id, seq)
) STRICT;
