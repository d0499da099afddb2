-- What has not been delivered yet, in order of events?
SELECT id, channel, notification, created_at, attempts, last_error
FROM outbox
WHERE delivered_at IS NULL
ORDER BY id
