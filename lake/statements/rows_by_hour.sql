-- How many of some rows were received in which hour.
--
-- Relation: counted (rows of a lake table). Columns: hour (unix hours, UTC), records.
SELECT CAST(floor(epoch(received_at) / 3600) AS BIGINT) AS hour, count(*) AS records
FROM counted
GROUP BY hour
ORDER BY hour
