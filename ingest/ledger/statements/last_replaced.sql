-- When a damaged ledger was set aside last; NULL if none was.
--
-- Parameter: now, in s of the unix clock.
-- Columns: at (s of the unix clock, of those that are not later than now), doubted (how many are
-- later: the clock was ahead).
SELECT
    MAX(at) FILTER (WHERE at <= :now) AS at,
    COUNT(*) FILTER (WHERE at > :now) AS doubted
FROM replaced
