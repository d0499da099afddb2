-- Every span once.
--
-- Clients retry, so a span may be stored twice until compaction; the copy received first stands.
-- Columns: those of the lake table `spans` (docs/reference/columns.md).
CREATE OR REPLACE TEMP VIEW spans AS
SELECT *
FROM lake_spans
QUALIFY row_number() OVER (PARTITION BY trace_id, span_id ORDER BY received_at) = 1
