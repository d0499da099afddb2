-- The rows of a day in which none is stored twice, a tenant's rows together.
--
-- Relation: day_rows (rows of a lake table, with row_key and row_time). Columns: those of the table.
SELECT * EXCLUDE (row_key, row_time)
FROM day_rows
ORDER BY tenant_id, row_time
