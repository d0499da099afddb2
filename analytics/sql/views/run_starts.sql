-- Step: of every run whose it is, when it began and its TTFB: all that an alert on TTFB asks.
CREATE OR REPLACE TEMP VIEW run_starts AS
SELECT tenant_id, started_at, ttfb_ms FROM run_endings
