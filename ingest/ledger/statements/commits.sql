-- What the writer has done so far.
--
-- Columns: signal, commits, stored (rows), seconds (in commits), files (of the table, live),
-- committed_at (unix s).
SELECT signal, commits, stored, seconds, files, committed_at
FROM commits
