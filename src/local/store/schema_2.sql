-- Version 2: what registries and repositories are configured with, and what the service does by itself.

-- One thing that the owner of a registry has configured: JSON, by its kind and, where there are several of a kind,
-- its name.
CREATE TABLE setting (
    service    TEXT NOT NULL,
    account    TEXT NOT NULL,
    region     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (service, account, region, kind, name)
) WITHOUT ROWID;

-- A repository's policies, each a text.
CREATE TABLE repository_setting (
    repository INTEGER NOT NULL REFERENCES repository ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    value      TEXT NOT NULL,
    acted_at   INTEGER NOT NULL DEFAULT 0,  -- when a lifecycle policy was last carried out
    PRIMARY KEY (repository, kind)
) WITHOUT ROWID;

CREATE TABLE preview (
    repository INTEGER PRIMARY KEY REFERENCES repository ON DELETE CASCADE,
    policy     TEXT NOT NULL,
    expiring   INTEGER NOT NULL,
    archiving  INTEGER NOT NULL
);

CREATE TABLE preview_result (
    repository INTEGER NOT NULL REFERENCES preview ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    digest     TEXT NOT NULL,
    tags       TEXT NOT NULL,     -- JSON: names
    entry      TEXT NOT NULL,     -- JSON: the structure LifecyclePolicyPreviewResult
    PRIMARY KEY (repository, position)
) WITHOUT ROWID;

-- Findings that a user gave for an image, and its newest scan; either may be there without the other.
CREATE TABLE scan (
    image      INTEGER PRIMARY KEY REFERENCES image ON DELETE CASCADE,
    findings   TEXT,              -- JSON: the structure ImageScanFindings
    started_at INTEGER
);

-- The signing profiles whose rules covered an image when it was pushed.
CREATE TABLE signing (
    image   INTEGER NOT NULL REFERENCES image ON DELETE CASCADE,
    profile TEXT NOT NULL,
    PRIMARY KEY (image, profile)
) WITHOUT ROWID;

-- Where an image was copied to, and why not.
CREATE TABLE replication (
    image   INTEGER NOT NULL REFERENCES image ON DELETE CASCADE,
    region  TEXT NOT NULL,
    account TEXT NOT NULL,
    failure TEXT,
    PRIMARY KEY (image, region, account)
) WITHOUT ROWID;

CREATE TABLE backfill (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    account     TEXT NOT NULL,
    region      TEXT NOT NULL,
    destination TEXT NOT NULL,    -- JSON: the structure ReplicationDestination
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL
);

CREATE TABLE backfill_result (
    backfill   INTEGER NOT NULL REFERENCES backfill ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    failure    TEXT,
    PRIMARY KEY (backfill, position)
) WITHOUT ROWID;
