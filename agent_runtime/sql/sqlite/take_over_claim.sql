-- Take the claim of a write over from an owner whose lease has run out, or prolong one's own.
--
-- Of several that find the same owner gone, one gets it. Sent twice by the same call it is prolonged.
--
-- Parameters:
--   idempotency_key  TEXT
--   former   TEXT    whose lease ran out
--   owner    TEXT    token of the call that takes it
--   lease_s  REAL  seconds from now that it may take; 0 lets others take it at once
--
-- Columns (no row when the write is done, or somebody else's):
--   owner    as given
UPDATE agent_claim
SET owner = :owner, lease_until = (julianday('now') - 2440587.5) * 86400.0 + :lease_s
WHERE idempotency_key = :idempotency_key
    AND result IS NULL
    AND (owner = :owner OR (owner = :former AND lease_until <= (julianday('now') - 2440587.5) * 86400.0))
RETURNING owner;
