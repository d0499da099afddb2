-- Forget the claim of a write that did nothing, if it is still the owner's.
--
-- Parameters:
--   idempotency_key  TEXT
--   owner  TEXT  token of the call
--
-- Columns (no row when there was nothing to forget):
--   owner  as given
DELETE FROM agent_claim
WHERE idempotency_key = %(idempotency_key)s AND owner = %(owner)s AND result IS NULL
RETURNING owner;
