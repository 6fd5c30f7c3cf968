-- +goose Up
-- What was refused, by hour and reason: a code of the console's table. As in
-- usage_hours a row outlives its app and goes when its tenant goes.

CREATE TABLE usage_refusals (
    app       TEXT COLLATE "C" NOT NULL,
    hour      BIGINT NOT NULL,
    reason    TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    refused   BIGINT NOT NULL,
    PRIMARY KEY (app, hour, reason)
);
CREATE INDEX usage_refusals_tenant_id_hour ON usage_refusals (tenant_id, hour);
