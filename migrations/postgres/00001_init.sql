-- +goose Up
-- Points in time are BIGINT milliseconds since 1970 (UTC), the same in both
-- dialects. Ids sort by bytes, so that a list has one order everywhere.

CREATE TABLE tenants (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    slug       TEXT COLLATE "C" NOT NULL UNIQUE,
    name       TEXT   NOT NULL,
    status     TEXT   NOT NULL CHECK (status IN ('unverified', 'active', 'suspended', 'closing')),
    created_at BIGINT NOT NULL
);

CREATE TABLE apps (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id  TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    name       TEXT    NOT NULL,
    cluster    TEXT    NOT NULL,
    disabled   BOOLEAN NOT NULL,
    settings   TEXT    NOT NULL,
    limits     TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);
CREATE INDEX apps_tenant_id ON apps (tenant_id);

CREATE TABLE app_keys (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    app_id        TEXT COLLATE "C" NOT NULL REFERENCES apps (id),
    key           TEXT COLLATE "C" NOT NULL UNIQUE,
    sealed_secret TEXT   NOT NULL,
    status        TEXT   NOT NULL CHECK (status IN ('active', 'retiring', 'revoked')),
    created_at    BIGINT NOT NULL
);
CREATE INDEX app_keys_app_id ON app_keys (app_id);

-- One row. Every configuration write adds one to it first and holds the row
-- until it commits, so that versions become visible in their own order.
CREATE TABLE config_version (
    id      BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO config_version (id, version) VALUES (1, 0);

-- One row per version. An empty app_id stands for every app of the tenant.
CREATE TABLE config_changes (
    version   BIGINT NOT NULL PRIMARY KEY,
    app_id    TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    at        BIGINT NOT NULL
);
CREATE INDEX config_changes_at ON config_changes (at);

CREATE TABLE meta (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
