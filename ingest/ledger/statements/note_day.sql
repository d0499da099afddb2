-- Notes the files of a day that was put in order.
INSERT INTO days_in_order (lake_table, day, files)
VALUES (:table, :day, :files)
ON CONFLICT (lake_table, day) DO UPDATE SET files = excluded.files
