-- When a damaged ledger was set aside last; NULL if none was.
--
-- Column: at, in s of the unix clock.
SELECT MAX(at) AS at FROM replaced
