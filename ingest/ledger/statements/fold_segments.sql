-- Adds settled segments to their hours; `forget_segments` deletes them in the same transaction.
INSERT INTO hours (signal, hour, accepted, retried, stored, quarantined)
SELECT signal, hour, sum(accepted), sum(retried), sum(stored), sum(quarantined)
FROM segments
WHERE settled_at < :before
GROUP BY signal, hour
ON CONFLICT (signal, hour) DO UPDATE SET
    accepted = hours.accepted + excluded.accepted,
    retried = hours.retried + excluded.retried,
    stored = hours.stored + excluded.stored,
    quarantined = hours.quarantined + excluded.quarantined
