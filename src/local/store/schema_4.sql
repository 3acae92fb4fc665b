-- A preview is in progress for a moment; one of an older program is complete.
ALTER TABLE preview ADD COLUMN started_at INTEGER NOT NULL DEFAULT 0;
