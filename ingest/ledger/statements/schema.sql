-- What was accepted and what became of it, so that `quietpager verify` can prove that nothing is
-- missing. Hours are unix hours (seconds / 3600, UTC) of the receiver's clock at acceptance.

-- A journal segment from the moment it is closed until some minutes after it is settled.
-- stored and quarantined are NULL until the writer has settled it.
CREATE TABLE IF NOT EXISTS segments (
    signal TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    retried INTEGER NOT NULL DEFAULT 0,
    stored INTEGER,
    quarantined INTEGER,
    settled_at REAL,
    PRIMARY KEY (signal, sequence, hour)
) WITHOUT ROWID;

-- Settled segments added up.
CREATE TABLE IF NOT EXISTS hours (
    signal TEXT NOT NULL,
    hour INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    PRIMARY KEY (signal, hour)
) WITHOUT ROWID;

-- Up to which sequence the segments of a signal are settled: no later one is numbered below it.
CREATE TABLE IF NOT EXISTS positions (
    signal TEXT NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL
) WITHOUT ROWID;

-- The last time that a journal was found at the start to be older than what the ledger knows of it.
CREATE TABLE IF NOT EXISTS rewinds (
    signal TEXT NOT NULL PRIMARY KEY,
    noted_at REAL NOT NULL,
    newest INTEGER NOT NULL,
    known INTEGER NOT NULL
) WITHOUT ROWID;

-- When a damaged ledger was set aside and another one begun, in s of the unix clock.
CREATE TABLE IF NOT EXISTS replaced (
    at REAL NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- Segments that were damaged before anybody had noted how many records they hold.
CREATE TABLE IF NOT EXISTS uncounted (
    signal TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (signal, sequence)
) WITHOUT ROWID;

-- Rows that leave a lake table, noted before they do: those of a number that the table has
-- committed are gone, those of a higher number never went.
CREATE TABLE IF NOT EXISTS removals (
    lake_table TEXT NOT NULL,
    number INTEGER NOT NULL,
    reason TEXT NOT NULL,
    hour INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    noted_at REAL NOT NULL,
    PRIMARY KEY (lake_table, number, hour)
) WITHOUT ROWID;

-- The files of a day after it was put in order. Others have come since where they differ.
CREATE TABLE IF NOT EXISTS days_in_order (
    lake_table TEXT NOT NULL,
    day TEXT NOT NULL,
    files TEXT NOT NULL,
    PRIMARY KEY (lake_table, day)
) WITHOUT ROWID;

-- Attributes and bodies that were content and were dropped, by the service that sent them and the
-- unix hour of their commit. Hour 0 has what is older, of all services together.
CREATE TABLE IF NOT EXISTS dropped (
    signal TEXT NOT NULL,
    hour INTEGER NOT NULL,
    service TEXT NOT NULL,
    dropped INTEGER NOT NULL,
    PRIMARY KEY (signal, hour, service)
) WITHOUT ROWID;

-- What the writer has done since there is a ledger.
CREATE TABLE IF NOT EXISTS commits (
    signal TEXT NOT NULL PRIMARY KEY,
    commits INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    seconds REAL NOT NULL,
    files INTEGER NOT NULL,
    committed_at REAL NOT NULL
) WITHOUT ROWID;
