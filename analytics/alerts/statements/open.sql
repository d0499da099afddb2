-- Settings of every connection that writes: readers never wait, and a commit is on disk.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
