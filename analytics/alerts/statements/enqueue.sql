-- A channel has to be told.
INSERT INTO outbox (fingerprint, channel, status, notification, created_at)
VALUES (:fingerprint, :channel, :status, :notification, :at)
