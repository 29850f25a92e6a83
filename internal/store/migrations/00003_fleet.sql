-- +goose Up
CREATE TABLE host (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL,
  state        TEXT NOT NULL,
  reason       TEXT NOT NULL DEFAULT '',
  since_ms     BIGINT NOT NULL,
  is_local     INTEGER NOT NULL DEFAULT 0,
  quiet        INTEGER NOT NULL DEFAULT 0,
  resource_id  TEXT NOT NULL DEFAULT '',
  key_id       TEXT NOT NULL DEFAULT '',
  cert_ms      BIGINT NOT NULL DEFAULT 0,
  boot_id      TEXT NOT NULL DEFAULT '',
  boots        TEXT NOT NULL DEFAULT '[]',
  machine      TEXT NOT NULL DEFAULT '[]',
  agent        TEXT NOT NULL DEFAULT '',
  protocol     INTEGER NOT NULL DEFAULT 0,
  read_only    INTEGER NOT NULL DEFAULT 0,
  trust        TEXT NOT NULL DEFAULT '[]',
  heartbeat_every_ms BIGINT NOT NULL DEFAULT 0,
  grace_ms     BIGINT NOT NULL DEFAULT 0,
  bytes_per_s  BIGINT NOT NULL DEFAULT 0,
  maintenance_ms BIGINT NOT NULL DEFAULT 0,
  conflict_ms  BIGINT NOT NULL DEFAULT 0,
  conflict     TEXT NOT NULL DEFAULT '',
  created_ms   BIGINT NOT NULL,
  created_by   TEXT NOT NULL,
  version      BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX host_by_name ON host (name) WHERE state <> 'removed';
CREATE INDEX host_by_resource ON host (resource_id);

-- What changes every few seconds stands apart and leaves no transition.
CREATE TABLE host_clock (
  host_id      TEXT PRIMARY KEY,
  heartbeat_ms BIGINT NOT NULL,
  proof_ms     BIGINT NOT NULL,
  report_ms    BIGINT NOT NULL,
  sequence     BIGINT NOT NULL,
  skew_ms      BIGINT NOT NULL,
  spooled      BIGINT NOT NULL,
  address      TEXT NOT NULL,
  server       TEXT NOT NULL
);

CREATE TABLE invitation (
  id          TEXT PRIMARY KEY,
  token_hash  TEXT NOT NULL UNIQUE,
  name        TEXT NOT NULL,
  host_id     TEXT NOT NULL DEFAULT '',
  created_ms  BIGINT NOT NULL,
  created_by  TEXT NOT NULL,
  expires_ms  BIGINT NOT NULL,
  used_ms     BIGINT NOT NULL DEFAULT 0,
  used_by     TEXT NOT NULL DEFAULT '',
  heartbeat_every_ms BIGINT NOT NULL DEFAULT 0,
  grace_ms    BIGINT NOT NULL DEFAULT 0,
  bytes_per_s BIGINT NOT NULL DEFAULT 0
);

-- Who may do what only one server does. A new holder has a higher fence.
CREATE TABLE lease (
  name     TEXT PRIMARY KEY,
  holder   TEXT NOT NULL,
  fence    BIGINT NOT NULL,
  until_ms BIGINT NOT NULL
);

-- The servers of this database, as they say themselves.
CREATE TABLE server (
  id        TEXT PRIMARY KEY,
  name      TEXT NOT NULL,
  version   TEXT NOT NULL,
  address   TEXT NOT NULL,
  external  INTEGER NOT NULL,
  since_ms  BIGINT NOT NULL,
  seen_ms   BIGINT NOT NULL
);

ALTER TABLE resource DROP COLUMN reachability;
