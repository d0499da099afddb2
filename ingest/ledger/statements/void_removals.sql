-- Deletes the notes of removals that were never committed.
DELETE FROM removals
WHERE lake_table = :table AND number > :committed
