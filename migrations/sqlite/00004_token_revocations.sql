-- +goose Up
-- Tokens (JWT) taken back before they expire: one by its id (jti), or those of
-- one user (sub) issued up to revoked_at. Rows are of no use after expires_at.

CREATE TABLE token_revocations (
    app_id     TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    kind       TEXT   NOT NULL CHECK (kind IN ('jti', 'sub')),
    value      TEXT NOT NULL,
    revoked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, kind, value)
);
CREATE INDEX token_revocations_expires_at ON token_revocations (expires_at);
