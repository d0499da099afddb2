-- Make the table of the steps that were taken (schema/*.sql), if it is not there.
CREATE TABLE IF NOT EXISTS agent_schema (
    version INTEGER PRIMARY KEY,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
