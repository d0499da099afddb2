-- Note that a step was taken.
--
-- Parameters:
--   version  INTEGER  number of the step, from 1
INSERT INTO agent_schema (version)
VALUES (%(version)s);
