-- +goose Up
-- Links that sign somebody in, for development: platform dev prints one.

ALTER TABLE user_tokens DROP CONSTRAINT user_tokens_kind_check;
ALTER TABLE user_tokens ADD CONSTRAINT user_tokens_kind_check CHECK (kind IN ('verify', 'reset', 'setup', 'login'));
