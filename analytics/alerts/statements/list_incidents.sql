-- The latest incidents, newest first; with :only_open those that are still firing.
SELECT firing, resolved
FROM incidents
WHERE resolved_at IS NULL OR NOT :only_open
ORDER BY started_at DESC, fingerprint
LIMIT :limit
