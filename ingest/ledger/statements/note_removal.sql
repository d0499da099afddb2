-- Notes rows that are about to leave a lake table.
INSERT INTO removals (lake_table, number, reason, hour, removed, noted_at)
VALUES (:table, :number, :reason, :hour, :removed, :at)
