-- The rows of a day, each once (the copy that was received first), a tenant's rows together.
--
-- Relation: day_rows (rows of a lake table, with row_key and row_time). Columns: those of the table.
SELECT * EXCLUDE (row_key, row_time)
FROM day_rows
QUALIFY row_number() OVER (PARTITION BY row_key ORDER BY received_at) = 1
ORDER BY tenant_id, row_time
