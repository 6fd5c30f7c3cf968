-- +goose Up
-- Links that sign somebody in, for development: platform dev prints one.

CREATE TABLE user_tokens_new (
    id         TEXT NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('verify', 'reset', 'setup', 'login')),
    user_id    TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL
);
INSERT INTO user_tokens_new SELECT id, kind, user_id, token_hash, created_at, expires_at FROM user_tokens;
DROP TABLE user_tokens;
ALTER TABLE user_tokens_new RENAME TO user_tokens;
CREATE INDEX user_tokens_user_id ON user_tokens (user_id);
