-- +goose Up
ALTER TABLE workload ADD COLUMN configured TEXT NOT NULL DEFAULT '';
UPDATE workload SET configured = desired WHERE source = 'config';
DELETE FROM workload WHERE host_id IN (SELECT id FROM host WHERE state = 'removed');
