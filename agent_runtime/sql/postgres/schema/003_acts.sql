-- What claims of writes say besides.
--
-- agent_claim         a row per write that was begun, and not found to have done nothing
--   asked_sha256      of the arguments as the model wrote them; NULL in older claims.
--                     arguments_sha256 is of what the tool understood, with its defaults
--   acts              how often it was begun, at most, by all who had the claim
--   owner             token of the act that was begun last; "?" behind it: a human was asked
ALTER TABLE agent_claim ADD COLUMN asked_sha256 TEXT;
ALTER TABLE agent_claim ADD COLUMN acts INTEGER NOT NULL DEFAULT 1;
