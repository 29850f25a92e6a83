-- +goose Up
CREATE TABLE workload (
  id              TEXT PRIMARY KEY,
  host_id         TEXT NOT NULL,
  driver          TEXT NOT NULL,
  name            TEXT NOT NULL,
  desired         TEXT NOT NULL DEFAULT '',
  desired_by      TEXT NOT NULL DEFAULT '',
  source          TEXT NOT NULL DEFAULT '',
  observed        TEXT NOT NULL DEFAULT 'unknown',
  raw_label       TEXT NOT NULL DEFAULT '',
  lease           TEXT NOT NULL DEFAULT '',
  tombstone       INTEGER NOT NULL DEFAULT 0,
  missing_ms      BIGINT NOT NULL DEFAULT 0,
  missing_reports INTEGER NOT NULL DEFAULT 0,
  transit_ms      BIGINT NOT NULL DEFAULT 0,
  generation      BIGINT NOT NULL DEFAULT 0,
  sequence        BIGINT NOT NULL DEFAULT 0,
  removals        INTEGER NOT NULL DEFAULT 0,
  removal_ms      BIGINT NOT NULL DEFAULT 0,
  problems        TEXT NOT NULL DEFAULT '{}',
  reason          TEXT NOT NULL DEFAULT '',
  up_ms           BIGINT NOT NULL DEFAULT 0,
  changed_ms      BIGINT NOT NULL,
  resource_id     TEXT NOT NULL DEFAULT '',
  version         BIGINT NOT NULL DEFAULT 1,
  UNIQUE (host_id, driver, name)
);
CREATE INDEX workload_by_name ON workload (name, id);

CREATE TABLE action (
  id           TEXT PRIMARY KEY,
  state        TEXT NOT NULL,
  verb         TEXT NOT NULL,
  host_id      TEXT NOT NULL,
  workload_id  TEXT NOT NULL,
  plan         TEXT NOT NULL,
  plan_hash    TEXT NOT NULL,
  reason       TEXT NOT NULL DEFAULT '',
  proposed_by  TEXT NOT NULL,
  proposed_ms  BIGINT NOT NULL,
  expires_ms   BIGINT NOT NULL,
  approval     TEXT NOT NULL DEFAULT '',
  approved_by  TEXT NOT NULL DEFAULT '',
  approved_ms  BIGINT NOT NULL DEFAULT 0,
  fence        BIGINT NOT NULL DEFAULT 0,
  server       TEXT NOT NULL DEFAULT '',
  deadline_ms  BIGINT NOT NULL DEFAULT 0,
  receipt      TEXT NOT NULL DEFAULT '',
  why          TEXT NOT NULL DEFAULT '',
  ended_ms     BIGINT NOT NULL DEFAULT 0,
  version      BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX action_by_state ON action (state, host_id);
CREATE INDEX action_by_workload ON action (workload_id, proposed_ms);

CREATE TABLE approver_set (
  version    BIGINT PRIMARY KEY,
  body       TEXT NOT NULL,
  created_ms BIGINT NOT NULL
);

CREATE TABLE fence (
  id   INTEGER PRIMARY KEY,
  last BIGINT NOT NULL
);
INSERT INTO fence (id, last) VALUES (1, 0);
