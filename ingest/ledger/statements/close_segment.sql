-- Notes what a segment holds, before the writer can see it. Doing it again changes nothing.
INSERT INTO segments (signal, sequence, hour, accepted, retried)
VALUES (:signal, :sequence, :hour, :accepted, :retried)
ON CONFLICT (signal, sequence, hour) DO UPDATE SET
    accepted = excluded.accepted,
    retried = excluded.retried
