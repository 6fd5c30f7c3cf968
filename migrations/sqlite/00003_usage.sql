-- +goose Up
-- What apps use, by hour. The column is named app, not app_id, because a row
-- outlives its app: it goes when its tenant goes.

CREATE TABLE usage_hours (
    app              TEXT NOT NULL,
    hour             BIGINT NOT NULL,
    tenant_id        TEXT NOT NULL,
    publishes        BIGINT NOT NULL,
    queries          BIGINT NOT NULL,
    client_events    BIGINT NOT NULL,
    deliveries       BIGINT NOT NULL,
    presence_changes BIGINT NOT NULL,
    webhooks         BIGINT NOT NULL,
    bytes_out        BIGINT NOT NULL,
    peak_connections BIGINT NOT NULL,
    PRIMARY KEY (app, hour)
);
CREATE INDEX usage_hours_tenant_id_hour ON usage_hours (tenant_id, hour);

-- One row for each process that has added usage: the number of its last batch,
-- so that none is added twice, and until when its connections count.
CREATE TABLE usage_sources (
    source      TEXT NOT NULL PRIMARY KEY,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    alive_until BIGINT NOT NULL
);
CREATE INDEX usage_sources_at ON usage_sources (at);

-- Connections open now, by app and process; none is no row.
CREATE TABLE usage_connections (
    app       TEXT NOT NULL,
    source    TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    open      BIGINT NOT NULL,
    PRIMARY KEY (app, source)
);
CREATE INDEX usage_connections_tenant_id ON usage_connections (tenant_id);
CREATE INDEX usage_connections_source ON usage_connections (source);
