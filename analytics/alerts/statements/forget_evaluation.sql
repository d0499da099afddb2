-- Drop a rule that is no longer configured.
DELETE FROM evaluations WHERE rule = :rule
