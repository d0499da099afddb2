-- The last segment of a signal that the writer has settled, of those that stand by themselves still.
--
-- Parameter: signal. Columns: settled (journal sequence, NULL for none).
SELECT max(sequence) AS settled
FROM segments
WHERE signal = :signal AND settled_at IS NOT NULL
