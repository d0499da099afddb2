-- Adds a commit of the writer to what it has done so far.
INSERT INTO commits (signal, commits, stored, seconds, files, committed_at)
VALUES (:signal, 1, :stored, :seconds, :files, :at)
ON CONFLICT (signal) DO UPDATE SET
    commits = commits.commits + 1,
    stored = commits.stored + excluded.stored,
    seconds = commits.seconds + excluded.seconds,
    files = excluded.files,
    committed_at = excluded.committed_at
