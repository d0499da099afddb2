-- Claims of writes: taken before a write acts, finished after it.
--
-- agent_claim         a row per write that was begun, and not found to have done nothing
--   idempotency_key   SHA-256 of what makes the write one; upstream gets it, too
--   arguments_sha256  the same key with other arguments is refused
--   tool              name of the tool; with tenant_id and thread_id for those who look into doubts
--   owner             token of the call that claimed it last
--   lease_until       that call may be acting until then; a claim without a result beyond it is in
--                     doubt, and stays until upstream or a human says what became of it
--   result            JSON string, what the tool answered; NULL until the write is done
--   finished_at       finished claims are kept for a time, so that repetitions find them
CREATE TABLE agent_claim (
    idempotency_key TEXT PRIMARY KEY,
    arguments_sha256 TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    owner TEXT NOT NULL,
    lease_until TIMESTAMPTZ NOT NULL,
    result JSON,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    finished_at TIMESTAMPTZ
);

CREATE INDEX agent_claim_finished ON agent_claim (finished_at);
