-- +goose Up
-- Where the event that a delivery tells of is in a trace, as W3C writes it;
-- empty where none is taken.
ALTER TABLE webhook_deliveries ADD COLUMN trace TEXT NOT NULL DEFAULT '';
