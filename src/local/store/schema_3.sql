-- Tokens say themselves what they are for (`token.rs`).
DROP TABLE token;

-- Referrers whose subject was deleted; the next run of their repository's lifecycle policy deletes them.
CREATE TABLE orphan (
    image INTEGER PRIMARY KEY REFERENCES image ON DELETE CASCADE
);
