-- Which rules have been evaluated?
SELECT rule FROM evaluations
