-- What claims of writes say besides; the columns are those of ../../postgres/schema/003_acts.sql.
ALTER TABLE agent_claim ADD COLUMN asked_sha256 TEXT;
ALTER TABLE agent_claim ADD COLUMN acts INTEGER NOT NULL DEFAULT 1;
