-- Take the claim of a write over from an owner whose lease has run out, or prolong one's own.
--
-- A lease that is given up ends long ago, not now: of a clock that is set back, now would lie in the
-- future. Of several that find the same owner gone, one gets it. Sent twice by the same call it is prolonged.
--
-- Parameters:
--   idempotency_key  TEXT
--   former   TEXT    whose lease ran out
--   owner    TEXT    token of the act that it is taken for
--   lease_s  DOUBLE  seconds from now that it may take; 0 lets others take it at once
--   acts     INTEGER  how often the write was begun, by all who had the claim
--   at_once  BOOLEAN  whether the former owner's lease does not matter
--
-- Columns (no row when the write is done, or somebody else's):
--   owner    as given
UPDATE agent_claim
SET
    owner = %(owner)s, acts = %(acts)s,
    lease_until = CASE
        WHEN %(lease_s)s > 0 THEN clock_timestamp() + make_interval(secs => %(lease_s)s)
        ELSE to_timestamp(0)
    END
WHERE idempotency_key = %(idempotency_key)s
    AND result IS NULL
    AND (
        owner = %(owner)s
        OR (owner = %(former)s AND (%(at_once)s OR lease_until <= clock_timestamp()))
    )
RETURNING owner;
