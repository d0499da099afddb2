-- Rows that are stored more than once, without the copy that was received first.
--
-- Relation: day_rows (rows of a lake table, with row_key). Columns: those of the table, and copy.
SELECT *
FROM (
    SELECT *, row_number() OVER (PARTITION BY row_key ORDER BY received_at) AS copy
    FROM day_rows
)
WHERE copy > 1
