-- When was each rule last evaluated, and how did it go?
SELECT rule, evaluated_at, error, failures FROM evaluations ORDER BY rule
