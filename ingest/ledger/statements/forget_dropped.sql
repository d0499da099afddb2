-- Deletes the hours that `fold_dropped` has added up.
DELETE FROM dropped
WHERE hour > 0 AND hour < :before
