-- Keep when a rule was last evaluated, and count its failures.
INSERT INTO evaluations (rule, evaluated_at, error, failures)
VALUES (:rule, :at, :error, :error IS NOT NULL)
ON CONFLICT (rule) DO UPDATE SET
    evaluated_at = excluded.evaluated_at,
    error = excluded.error,
    failures = failures + excluded.failures
