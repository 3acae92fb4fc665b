-- The embedded ECR's state. Times are milliseconds since 1970. Everything hangs on a repository, and a repository
-- on a service, an account and a region, so that one store holds several registries.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE repository (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    service      TEXT NOT NULL,
    account      TEXT NOT NULL,
    region       TEXT NOT NULL,
    name         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    mutability   TEXT NOT NULL,
    exclusions   TEXT NOT NULL,     -- JSON: imageTagMutabilityExclusionFilters
    scan_on_push INTEGER NOT NULL,
    encryption   TEXT NOT NULL,     -- JSON: encryptionConfiguration
    catalog      TEXT,              -- JSON: catalogData of a public repository
    UNIQUE (service, account, region, name)
);

CREATE TABLE resource_tag (
    repository INTEGER NOT NULL REFERENCES repository ON DELETE CASCADE,
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (repository, key)
) WITHOUT ROWID;

-- A file below blobs/, shared by all repositories that have it.
CREATE TABLE blob (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL
) WITHOUT ROWID;

-- A blob as a repository has it; configurations are layers to this API.
CREATE TABLE layer (
    repository INTEGER NOT NULL REFERENCES repository ON DELETE CASCADE,
    digest     TEXT NOT NULL REFERENCES blob,
    stored_at  INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX layer_of_blob ON layer (digest);

CREATE TABLE image (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    repository    INTEGER NOT NULL REFERENCES repository ON DELETE CASCADE,
    digest        TEXT NOT NULL,
    media_type    TEXT NOT NULL,
    artifact_type TEXT,
    subject       TEXT,
    size          INTEGER NOT NULL,
    pushed_at     INTEGER NOT NULL,
    pulled_at     INTEGER,
    status        TEXT NOT NULL DEFAULT 'ACTIVE',
    archived_at   INTEGER,
    activated_at  INTEGER,
    UNIQUE (repository, digest)
);
CREATE INDEX image_in_order ON image (repository, id);
CREATE INDEX image_of_subject ON image (repository, subject) WHERE subject IS NOT NULL;

-- Kept apart, so that listing images does not read their manifests.
CREATE TABLE manifest (
    image   INTEGER PRIMARY KEY REFERENCES image ON DELETE CASCADE,
    content BLOB NOT NULL
);

CREATE TABLE image_tag (
    repository INTEGER NOT NULL REFERENCES repository ON DELETE CASCADE,
    name       TEXT NOT NULL,
    image      INTEGER NOT NULL REFERENCES image ON DELETE CASCADE,
    tagged_at  INTEGER NOT NULL,
    PRIMARY KEY (repository, name)
) WITHOUT ROWID;
CREATE INDEX tag_of_image ON image_tag (image, name);

-- What a manifest refers to; from these follow what may be deleted, downloaded and swept.
CREATE TABLE image_layer (
    image      INTEGER NOT NULL REFERENCES image ON DELETE CASCADE,
    digest     TEXT NOT NULL,
    repository INTEGER NOT NULL,
    media_type TEXT,
    PRIMARY KEY (image, digest)
) WITHOUT ROWID;
CREATE INDEX image_of_layer ON image_layer (repository, digest);

CREATE TABLE image_child (
    image      INTEGER NOT NULL REFERENCES image ON DELETE CASCADE,
    digest     TEXT NOT NULL,
    repository INTEGER NOT NULL,
    PRIMARY KEY (image, digest)
) WITHOUT ROWID;
CREATE INDEX parent_of_child ON image_child (repository, digest);

-- An upload session; its bytes are in uploads/ID, of which only the first `size` count.
CREATE TABLE upload (
    id         TEXT PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repository ON DELETE CASCADE,
    touched_at INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    parts      INTEGER NOT NULL,
    last_part  INTEGER NOT NULL,    -- bytes in the newest part
    short_part INTEGER NOT NULL     -- whether a part before the newest has fewer than 5 MiB
) WITHOUT ROWID;
CREATE INDEX upload_by_age ON upload (touched_at);
CREATE INDEX upload_of_repository ON upload (repository);

-- Passwords of authorization tokens, as SHA-256.
CREATE TABLE token (
    hash       BLOB PRIMARY KEY,
    service    TEXT NOT NULL,
    account    TEXT NOT NULL,
    region     TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
