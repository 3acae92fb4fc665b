-- Tokens say themselves what they are for (`token.rs`).
DROP TABLE IF EXISTS token;
