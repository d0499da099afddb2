-- Claims of writes; the columns are those of ../../postgres/schema/002_claims.sql.
--
-- Times are seconds since 1970-01-01 UTC.
CREATE TABLE agent_claim (
    idempotency_key TEXT PRIMARY KEY,
    arguments_sha256 TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    owner TEXT NOT NULL,
    lease_until REAL NOT NULL,
    result TEXT,
    created_at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0),
    finished_at REAL
) STRICT;

CREATE INDEX agent_claim_finished ON agent_claim (finished_at);
