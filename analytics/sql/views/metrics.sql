-- Every data point of the OpenTelemetry metrics once.
--
-- The same point delivered twice has the same metric_id; the copy received first stands. No other
-- view rests on this one: what a metric counts is counted from spans and logs too, and the two are
-- never added together.
-- Columns: those of the lake table `metrics` (docs/reference/columns.md).
CREATE OR REPLACE TEMP VIEW metrics AS
SELECT *
FROM lake_metrics
QUALIFY row_number() OVER (PARTITION BY metric_id ORDER BY received_at) = 1
