-- +goose Up
ALTER TABLE workload ADD COLUMN configured TEXT NOT NULL DEFAULT '';
ALTER TABLE workload ADD COLUMN settles_ms BIGINT NOT NULL DEFAULT 0;
UPDATE workload SET configured = desired WHERE source = 'config';
DELETE FROM workload WHERE host_id IN (SELECT id FROM host WHERE state = 'removed');
