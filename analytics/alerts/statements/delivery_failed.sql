-- A delivery was tried in vain.
UPDATE outbox SET attempts = attempts + 1, last_error = :error WHERE id = :id
