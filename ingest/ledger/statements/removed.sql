-- How many rows have left a lake table, by hour and reason.
--
-- Parameters: table, committed (number of the last removal that the table has committed).
-- Columns: hour (unix hours, UTC), reason (duplicate, expired or erased), removed (rows).
SELECT hour, reason, sum(removed) AS removed
FROM removals
WHERE lake_table = :table AND number <= :committed
GROUP BY hour, reason
