-- Notes that everything up to a sequence is settled.
INSERT INTO positions (signal, sequence)
VALUES (:signal, :sequence)
ON CONFLICT (signal) DO UPDATE SET sequence = MAX(sequence, excluded.sequence)
