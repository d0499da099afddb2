-- Write the log into the file and empty it: it holds earlier versions of its pages.
PRAGMA wal_checkpoint(TRUNCATE)
