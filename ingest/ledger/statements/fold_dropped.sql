-- Adds up, without their service, the hours before :before.
INSERT INTO dropped (signal, hour, service, dropped)
SELECT signal, 0, '', sum(dropped)
FROM dropped
WHERE hour > 0 AND hour < :before
GROUP BY signal
ON CONFLICT (signal, hour, service) DO UPDATE SET dropped = dropped.dropped + excluded.dropped
