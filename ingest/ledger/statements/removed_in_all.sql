-- How many rows have left each table, by reason; those of a removal that is being committed too.
--
-- Columns: lake_table, reason, removed (rows).
SELECT lake_table, reason, sum(removed) AS removed
FROM removals
GROUP BY lake_table, reason
