-- What was accepted in each hour and what became of it on the way to a lake that has committed
-- everything up to `position`.
--
-- Parameters: signal, position (journal sequence).
-- Columns: hour (unix hours, UTC), accepted, retried, waiting, quarantined (records).
SELECT
    hour,
    sum(accepted) AS accepted,
    sum(retried) AS retried,
    sum(waiting) AS waiting,
    sum(quarantined) AS quarantined
FROM (
    SELECT hour, accepted, retried, 0 AS waiting, quarantined
    FROM hours
    WHERE signal = :signal
    UNION ALL
    SELECT
        hour,
        accepted,
        retried,
        CASE WHEN sequence > :position AND COALESCE(quarantined, 0) = 0 THEN accepted ELSE 0 END,
        COALESCE(quarantined, 0)
    FROM segments
    WHERE signal = :signal
)
GROUP BY hour
ORDER BY hour
