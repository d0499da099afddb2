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
SET result = coalesce(result, %(result)s::JSON), finished_at = coalesce(finished_at, clock_timestamp())
WHERE idempotency_key = %(idempotency_key)s AND owner = %(owner)s
RETURNING owner;
