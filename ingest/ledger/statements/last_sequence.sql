-- The highest sequence of a signal that the ledger has heard of; 0 if of none.
--
-- Parameter: signal. Column: sequence.
SELECT COALESCE(MAX(sequence), 0) AS sequence
FROM (
    SELECT sequence FROM positions WHERE signal = :signal
    UNION ALL
    SELECT sequence FROM segments WHERE signal = :signal
)
