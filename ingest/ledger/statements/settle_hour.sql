-- Notes how many rows of a segment are in the lake. A segment from before the ledger held at least
-- those. Doing it again changes nothing.
INSERT INTO segments (signal, sequence, hour, accepted, stored, quarantined, settled_at)
VALUES (:signal, :sequence, :hour, :stored, :stored, 0, :at)
ON CONFLICT (signal, sequence, hour) DO UPDATE SET
    stored = excluded.stored
