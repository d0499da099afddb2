-- An incident ended.
UPDATE incidents SET resolved_at = :resolved_at, resolved = :notification
WHERE fingerprint = :fingerprint
