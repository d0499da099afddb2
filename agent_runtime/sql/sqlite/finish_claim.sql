-- Note that a write is done, if its claim is still the owner's.
--
-- Sent twice it is noted once.
--
-- Parameters:
--   idempotency_key  TEXT
--   owner    TEXT          token of the call
--   result   JSON as text  a string, what the tool answered
--
-- Columns (no row when somebody else took the claim over):
--   owner    as given
UPDATE agent_claim
SET result = coalesce(result, :result), finished_at = coalesce(finished_at, (julianday('now') - 2440587.5) * 86400.0)
WHERE idempotency_key = :idempotency_key AND owner = :owner
RETURNING owner;
