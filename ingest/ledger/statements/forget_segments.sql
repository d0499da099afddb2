-- Deletes the segments that `fold_segments` has added to their hours.
DELETE FROM segments
WHERE settled_at < :before
