-- Can the lake be read? Opens its files of the time around one moment and reads their footers.
--
-- Parameters:
--   none; the time is the one the lake was opened for
--
-- Columns (one row):
--   spans  BIGINT  spans as stored, repeated ones too
--   logs   BIGINT  log records as stored, repeated ones too
SELECT
    (SELECT COUNT(*) FROM lake_spans) AS spans,
    (SELECT COUNT(*) FROM lake_logs) AS logs
