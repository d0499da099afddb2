-- The files of a day when it was last put in order.
--
-- Parameters: table, day (ISO 8601). Column: files (their digest).
SELECT files
FROM days_in_order
WHERE lake_table = :table AND day = :day
