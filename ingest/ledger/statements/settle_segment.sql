-- Settles what the lake did not get: in quarantine if the segment went there.
UPDATE segments
SET
    stored = COALESCE(stored, 0),
    quarantined = CASE WHEN :damaged THEN accepted - COALESCE(stored, 0) ELSE 0 END,
    settled_at = :at
WHERE signal = :signal AND sequence = :sequence
