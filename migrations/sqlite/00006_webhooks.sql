-- +goose Up
-- Webhooks: who is told, what was said of whom, what is to be sent and what
-- came of it. Every table has its app_id, so that rows go with their app.

CREATE TABLE webhook_endpoints (
    id              TEXT NOT NULL PRIMARY KEY,
    app_id          TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    url             TEXT    NOT NULL,
    kinds           TEXT    NOT NULL,
    channels        TEXT    NOT NULL,
    batching        BOOLEAN NOT NULL,
    keep_bodies     BOOLEAN NOT NULL,
    sealed_headers  TEXT    NOT NULL,
    sealed_secret   TEXT    NOT NULL,
    sealed_previous TEXT    NOT NULL,
    previous_until  BIGINT,
    status          TEXT    NOT NULL CHECK (status IN ('enabled', 'paused', 'disabled', 'listening')),
    status_reason   TEXT    NOT NULL,
    revision        BIGINT  NOT NULL,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL
);
CREATE INDEX webhook_endpoints_app_id ON webhook_endpoints (app_id);
CREATE INDEX webhook_endpoints_tenant_id ON webhook_endpoints (tenant_id);

-- One row: every write to an endpoint adds one to it, and nodes watch it.
CREATE TABLE webhook_version (
    id      BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO webhook_version (id, version) VALUES (1, 0);

-- What an endpoint's deliveries wait in: one lane each, served by one node at a
-- time. next_at is when there is something to do; NULL = nothing.
CREATE TABLE webhook_lanes (
    endpoint_id   TEXT NOT NULL PRIMARY KEY,
    app_id        TEXT NOT NULL,
    tenant_id     TEXT NOT NULL,
    next_at       BIGINT,
    holder        TEXT   NOT NULL,
    lease_until   BIGINT NOT NULL,
    served_at     BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    failing_since BIGINT
);
CREATE INDEX webhook_lanes_next_at ON webhook_lanes (next_at);

-- One request to one endpoint, with the events in it. The id is what receivers
-- know it by, in every attempt.
CREATE TABLE webhook_deliveries (
    id          TEXT NOT NULL PRIMARY KEY,
    endpoint_id TEXT NOT NULL,
    app_id      TEXT NOT NULL,
    tenant_id   TEXT NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
    events      TEXT    NOT NULL,
    event_count BIGINT  NOT NULL,
    kinds       TEXT    NOT NULL,
    test        BOOLEAN NOT NULL,
    attempts    BIGINT  NOT NULL,
    tries       BIGINT  NOT NULL,
    replays     BIGINT  NOT NULL,
    http_status BIGINT  NOT NULL,
    reason      TEXT    NOT NULL,
    next_at     BIGINT,
    expires_at  BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    finished_at BIGINT
);
CREATE INDEX webhook_deliveries_endpoint_id_status_next_at ON webhook_deliveries (endpoint_id, status, next_at);
CREATE INDEX webhook_deliveries_endpoint_id_id ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_status_expires_at ON webhook_deliveries (status, expires_at);
CREATE INDEX webhook_deliveries_finished_at ON webhook_deliveries (finished_at);
CREATE INDEX webhook_deliveries_app_id ON webhook_deliveries (app_id);

CREATE TABLE webhook_attempts (
    delivery_id   TEXT   NOT NULL,
    number        BIGINT NOT NULL,
    app_id        TEXT   NOT NULL,
    at            BIGINT NOT NULL,
    took_ms       BIGINT NOT NULL,
    http_status   BIGINT NOT NULL,
    reason        TEXT   NOT NULL,
    address       TEXT   NOT NULL,
    request_head  TEXT   NOT NULL,
    response_head TEXT   NOT NULL,
    response_body TEXT   NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
CREATE INDEX webhook_attempts_app_id ON webhook_attempts (app_id);

-- Of whom it was told that they came. due_at is when it is told that they went,
-- unless they come back before; NULL = they are there.
CREATE TABLE webhook_states (
    app_id  TEXT   NOT NULL,
    channel TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    seq     BIGINT NOT NULL,
    due_at  BIGINT,
    PRIMARY KEY (app_id, channel, subject)
);
CREATE INDEX webhook_states_due_at ON webhook_states (due_at);

-- How far each log of changes has been read.
CREATE TABLE webhook_cursors (
    log  TEXT   NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
