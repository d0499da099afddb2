-- Every log record once.
--
-- The same record delivered twice has the same log_id; the copy received first stands.
-- Columns: those of the lake table `logs` (docs/reference/columns.md).
CREATE OR REPLACE TEMP VIEW logs AS
SELECT *
FROM lake_logs
QUALIFY row_number() OVER (PARTITION BY log_id ORDER BY received_at) = 1
