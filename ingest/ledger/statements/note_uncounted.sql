-- Notes how much of a segment was damaged before its records were counted. Doing it again changes
-- nothing.
INSERT INTO uncounted (signal, sequence, bytes)
VALUES (:signal, :sequence, :bytes)
ON CONFLICT (signal, sequence) DO UPDATE SET bytes = excluded.bytes
