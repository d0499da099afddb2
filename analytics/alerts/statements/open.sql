-- Settings of every connection that writes: a commit is on disk when it returns.
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
