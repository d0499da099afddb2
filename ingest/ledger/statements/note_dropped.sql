-- Adds what was dropped of a service in an hour.
INSERT INTO dropped (signal, hour, service, dropped)
VALUES (:signal, :hour, :service, :dropped)
ON CONFLICT (signal, hour, service) DO UPDATE SET dropped = dropped.dropped + excluded.dropped
