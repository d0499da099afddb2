-- How many records of each signal are in quarantine, of all hours.
--
-- Columns: signal, quarantined (records).
SELECT signal, sum(quarantined) AS quarantined
FROM (
    SELECT signal, quarantined FROM hours
    UNION ALL
    SELECT signal, COALESCE(quarantined, 0) FROM segments
)
GROUP BY signal
