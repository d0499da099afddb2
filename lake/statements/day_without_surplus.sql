-- The rows of a day, each once (the copy that was received first), a tenant's rows together, and in each minute those of a
-- trace: alike lies beside alike, which makes the files small.
--
-- Relation: day_rows (rows of a lake table, with row_key, row_time and row_trace). Columns: those of the table.
SELECT * EXCLUDE (row_key, row_time, row_trace)
FROM day_rows
QUALIFY row_number() OVER (PARTITION BY row_key ORDER BY received_at) = 1
ORDER BY tenant_id, date_trunc('minute', row_time), row_trace, row_time
