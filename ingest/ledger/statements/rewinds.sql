-- The last time that each journal was found to remember less than the ledger.
--
-- Columns: signal, noted_at (unix s), newest (sequence of the journal), known (of the ledger).
SELECT signal, noted_at, newest, known
FROM rewinds
ORDER BY signal
