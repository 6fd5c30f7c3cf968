-- +goose Up
-- Accounts: people, sessions, members, tokens, plans, and the log of who did
-- what. Links and tokens are kept as hashes only.

ALTER TABLE tenants ADD COLUMN plan TEXT NOT NULL DEFAULT 'default';
ALTER TABLE tenants ADD COLUMN status_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN purge_at BIGINT;
ALTER TABLE tenants ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
CREATE INDEX tenants_plan ON tenants (plan);
CREATE INDEX tenants_purge_at ON tenants (purge_at);

ALTER TABLE apps ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

ALTER TABLE app_keys ADD COLUMN retires_at BIGINT;
CREATE INDEX app_keys_retires_at ON app_keys (retires_at);

-- Hashes of ids, keys and slugs that existed once and are never given out again.
CREATE TABLE tombstones (
    kind    TEXT NOT NULL CHECK (kind IN ('tenant', 'app', 'key')),
    id_hash TEXT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (kind, id_hash)
);

-- A plan that was changed has several versions; one of them is current.
CREATE TABLE plans (
    name       TEXT NOT NULL,
    version    BIGINT  NOT NULL,
    is_current BOOLEAN NOT NULL,
    ceilings   TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE users (
    id            TEXT NOT NULL PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    operator      BOOLEAN NOT NULL,
    verified_at   BIGINT,
    terms_version TEXT    NOT NULL,
    terms_at      BIGINT,
    created_at    BIGINT  NOT NULL
);

CREATE TABLE sessions (
    id           TEXT NOT NULL PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash   TEXT NOT NULL UNIQUE,
    user_agent   TEXT    NOT NULL,
    ip           TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    last_seen_at BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL
);
CREATE INDEX sessions_user_id ON sessions (user_id);

-- Single-use links. An empty user_id is the link of the first start.
CREATE TABLE user_tokens (
    id         TEXT NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('verify', 'reset', 'setup')),
    user_id    TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL
);
CREATE INDEX user_tokens_user_id ON user_tokens (user_id);

CREATE TABLE members (
    tenant_id  TEXT NOT NULL REFERENCES tenants (id),
    user_id    TEXT NOT NULL REFERENCES users (id),
    role       TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'viewer')),
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX members_user_id ON members (user_id);

CREATE TABLE invitations (
    id         TEXT NOT NULL PRIMARY KEY,
    tenant_id  TEXT NOT NULL REFERENCES tenants (id),
    email      TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'viewer')),
    token_hash TEXT NOT NULL UNIQUE,
    invited_by TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL
);
CREATE INDEX invitations_tenant_id ON invitations (tenant_id);

-- Tokens of the admin API. scopes and app_ids are JSON lists.
CREATE TABLE api_tokens (
    id           TEXT NOT NULL PRIMARY KEY,
    tenant_id    TEXT NOT NULL REFERENCES tenants (id),
    name         TEXT    NOT NULL,
    token_hash   TEXT NOT NULL UNIQUE,
    prefix       TEXT    NOT NULL,
    last4        TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    app_ids      TEXT    NOT NULL,
    created_by   TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_tokens_tenant_id ON api_tokens (tenant_id);

-- Append-only. An empty tenant_id is what concerns the installation, and what is
-- left, without names, of a tenant that was removed. was and became are JSON.
CREATE TABLE audit_log (
    id          TEXT NOT NULL PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    at          BIGINT  NOT NULL,
    actor_kind  TEXT    NOT NULL,
    actor_id    TEXT NOT NULL,
    actor_name  TEXT    NOT NULL,
    ip          TEXT    NOT NULL,
    action      TEXT NOT NULL,
    target_kind TEXT    NOT NULL,
    target_id   TEXT NOT NULL,
    was         TEXT    NOT NULL,
    became      TEXT    NOT NULL,
    request_id  TEXT    NOT NULL
);
CREATE INDEX audit_log_tenant_id ON audit_log (tenant_id, id);

-- Mails that wait to be sent. They hold links, so the whole mail is sealed.
CREATE TABLE mail_outbox (
    id         TEXT NOT NULL PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    sealed     TEXT    NOT NULL,
    attempts   BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    next_at    BIGINT  NOT NULL
);
CREATE INDEX mail_outbox_next_at ON mail_outbox (next_at);

-- How often something was tried since window_start.
CREATE TABLE throttles (
    bucket       TEXT NOT NULL,
    window_start BIGINT  NOT NULL,
    tries        BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL,
    PRIMARY KEY (bucket, window_start)
);
CREATE INDEX throttles_expires_at ON throttles (expires_at);

-- Answers kept for retries. status 0 is a request under way.
CREATE TABLE idempotency_keys (
    principal    TEXT NOT NULL,
    idem_key     TEXT NOT NULL,
    tenant_id    TEXT NOT NULL,
    request_hash TEXT    NOT NULL,
    status       BIGINT  NOT NULL,
    header       TEXT    NOT NULL,
    sealed_body  TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL,
    PRIMARY KEY (principal, idem_key)
);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);
