-- The segments that were damaged before their records were counted.
--
-- Columns: signal, sequence, bytes (that are damaged).
SELECT signal, sequence, bytes
FROM uncounted
ORDER BY signal, sequence
