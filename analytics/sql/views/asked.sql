-- Step: the moment at which it was asked.
CREATE OR REPLACE TEMP TABLE asked AS
SELECT now() AS time
