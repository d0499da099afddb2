-- Whether a segment was settled so long ago that it is part of its hours.
--
-- Parameters: signal, sequence. One row if it was.
SELECT 1
FROM positions
WHERE signal = :signal AND sequence >= :sequence
AND NOT EXISTS (SELECT 1 FROM segments WHERE signal = :signal AND sequence = :sequence)
