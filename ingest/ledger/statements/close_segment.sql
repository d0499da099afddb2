-- Notes what a segment holds, before the writer can see it. Doing it again changes nothing: who finds
-- fewer, as a record was damaged meanwhile, does not make it fewer that were accepted.
INSERT INTO segments (signal, sequence, hour, accepted, retried)
VALUES (:signal, :sequence, :hour, :accepted, :retried)
ON CONFLICT (signal, sequence, hour) DO UPDATE SET
    accepted = MAX(accepted, excluded.accepted),
    retried = MAX(retried, excluded.retried)
