-- Notes that a journal was found to remember less than the ledger.
INSERT INTO rewinds (signal, noted_at, newest, known)
VALUES (:signal, :at, :newest, :known)
ON CONFLICT (signal) DO UPDATE SET
    noted_at = excluded.noted_at,
    newest = excluded.newest,
    known = excluded.known
