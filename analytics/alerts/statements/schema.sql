-- Tables of the alert store, version 1 (kept in user_version). Times are ISO 8601 text in UTC with
-- microseconds, so that text order is time order. In WAL mode readers and the writer never wait
-- for each other.
PRAGMA journal_mode = WAL;

BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS evaluations (   -- the last evaluation of each rule
    rule          TEXT PRIMARY KEY,
    evaluated_at  TEXT NOT NULL,
    error         TEXT,                    -- why it could not be evaluated; NULL: it could
    failures      INTEGER NOT NULL         -- evaluations that failed, ever
) STRICT;

CREATE TABLE IF NOT EXISTS states (        -- where each scope of a rule stands
    rule         TEXT NOT NULL,
    scope        TEXT NOT NULL,            -- overall, or tenant:<tenant_id>
    tenant_id    TEXT,                     -- NULL: overall
    state        TEXT NOT NULL,            -- JSON of AlertState
    observation  TEXT NOT NULL,            -- JSON of the last Observation
    observed_at  TEXT NOT NULL,
    PRIMARY KEY (rule, scope)
) STRICT;

CREATE TABLE IF NOT EXISTS incidents (     -- everything that ever fired
    fingerprint  TEXT PRIMARY KEY,
    rule         TEXT NOT NULL,
    tenant_id    TEXT,                     -- NULL: overall
    started_at   TEXT NOT NULL,
    resolved_at  TEXT,                     -- NULL: still firing
    firing       TEXT NOT NULL,            -- JSON of the Notification of its beginning
    resolved     TEXT                      -- JSON of the Notification of its end
) STRICT;

CREATE INDEX IF NOT EXISTS incidents_by_start ON incidents (started_at);

CREATE TABLE IF NOT EXISTS outbox (        -- what has to be delivered, and whether it was
    id            INTEGER PRIMARY KEY,     -- order of events
    fingerprint   TEXT NOT NULL REFERENCES incidents (fingerprint),
    channel       TEXT NOT NULL,
    status        TEXT NOT NULL,           -- firing or resolved
    notification  TEXT NOT NULL,           -- JSON of the Notification
    created_at    TEXT NOT NULL,
    attempts      INTEGER NOT NULL DEFAULT 0,
    last_error    TEXT,
    delivered_at  TEXT,
    UNIQUE (fingerprint, channel, status)
) STRICT;

CREATE INDEX IF NOT EXISTS outbox_by_delivery ON outbox (delivered_at, id);

PRAGMA user_version = 1;
COMMIT;
