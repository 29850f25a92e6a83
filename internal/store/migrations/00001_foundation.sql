-- +goose Up
CREATE TABLE resource (
  id            TEXT PRIMARY KEY,
  kind          TEXT NOT NULL,
  name          TEXT NOT NULL,
  host_id       TEXT NOT NULL,
  host_name     TEXT NOT NULL,
  parent_id     TEXT NOT NULL DEFAULT '',
  key_host      TEXT NOT NULL,
  key_source    TEXT NOT NULL,
  key_key       TEXT NOT NULL,
  labels        TEXT NOT NULL DEFAULT '{}',
  desired       TEXT NOT NULL DEFAULT '{}',
  observed      TEXT NOT NULL DEFAULT '{}',
  presence      TEXT NOT NULL DEFAULT 'present',
  reachability  TEXT NOT NULL DEFAULT 'online',
  thing         TEXT NOT NULL DEFAULT '',
  first_seen_ms BIGINT NOT NULL,
  observed_ms   BIGINT NOT NULL,
  generation    BIGINT NOT NULL DEFAULT 1,
  version       BIGINT NOT NULL DEFAULT 1,
  UNIQUE (key_host, key_source, key_key)
);
CREATE INDEX resource_by_kind ON resource (kind, name, id);
CREATE INDEX resource_by_name ON resource (name, id);
CREATE INDEX resource_by_observed ON resource (observed_ms, id);
CREATE INDEX resource_by_host ON resource (host_id, kind, id);
CREATE INDEX resource_by_parent ON resource (parent_id, id);

CREATE TABLE resource_label (
  resource_id TEXT NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
  name        TEXT NOT NULL,
  value       TEXT NOT NULL,
  PRIMARY KEY (resource_id, name)
);
CREATE INDEX resource_label_by_value ON resource_label (name, value, resource_id);

CREATE TABLE event (
  id          TEXT PRIMARY KEY,
  resource_id TEXT NOT NULL,
  collector   TEXT NOT NULL,
  source_id   TEXT NOT NULL,
  type        TEXT NOT NULL,
  at_ms       BIGINT NOT NULL,
  text        TEXT NOT NULL,
  facts       TEXT NOT NULL DEFAULT '{}',
  count       BIGINT NOT NULL DEFAULT 1,
  UNIQUE (resource_id, collector, source_id)
);
CREATE INDEX event_by_type ON event (type, at_ms, id);
CREATE INDEX event_by_resource ON event (resource_id, at_ms, id);
CREATE INDEX event_by_time ON event (at_ms, id);

CREATE TABLE track (
  resource_id TEXT NOT NULL,
  condition   TEXT NOT NULL,
  state       TEXT NOT NULL,
  PRIMARY KEY (resource_id, condition)
);

CREATE TABLE signal (
  id          TEXT PRIMARY KEY,
  source      TEXT NOT NULL,
  source_id   TEXT NOT NULL,
  condition   TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  edge        TEXT NOT NULL,
  severity    TEXT NOT NULL,
  facts       TEXT NOT NULL DEFAULT '{}',
  event_ms    BIGINT NOT NULL,
  received_ms BIGINT NOT NULL,
  UNIQUE (source, source_id)
);
CREATE INDEX signal_by_resource ON signal (resource_id, condition, event_ms);

CREATE TABLE finding (
  id           TEXT PRIMARY KEY,
  resource_id  TEXT NOT NULL,
  condition    TEXT NOT NULL,
  state        TEXT NOT NULL,
  active       BIGINT NOT NULL,
  severity     TEXT NOT NULL,
  peak         TEXT NOT NULL,
  origin       TEXT NOT NULL,
  summary      TEXT NOT NULL,
  facts        TEXT NOT NULL DEFAULT '{}',
  first_ms     BIGINT NOT NULL,
  last_ms      BIGINT NOT NULL,
  opened_ms    BIGINT NOT NULL,
  resolved_ms  BIGINT NOT NULL DEFAULT 0,
  resolved_by  TEXT NOT NULL DEFAULT '',
  closed_ms    BIGINT NOT NULL DEFAULT 0,
  count        BIGINT NOT NULL DEFAULT 1,
  episode      BIGINT NOT NULL DEFAULT 1,
  episodes_ms  TEXT NOT NULL DEFAULT '[]',
  flapping     BIGINT NOT NULL DEFAULT 0,
  suppression  TEXT NOT NULL DEFAULT '',
  acked_by     TEXT NOT NULL DEFAULT '',
  acked_ms     BIGINT NOT NULL DEFAULT 0,
  claim        TEXT NOT NULL DEFAULT '',
  incident_id  TEXT NOT NULL DEFAULT '',
  previous_id  TEXT NOT NULL DEFAULT '',
  version      BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX finding_one_alive ON finding (resource_id, condition) WHERE state <> 'closed';
-- Lists are read in the order of opening. The few that are not closed have
-- indexes of their own; in the others the columns after the order let a filter
-- that nearly nothing passes read the index alone.
CREATE INDEX finding_active ON finding (opened_ms, id, severity, condition) WHERE active = 1;
CREATE INDEX finding_alive ON finding (opened_ms, id, severity, condition, state) WHERE state <> 'closed';
CREATE INDEX finding_by_opened ON finding (opened_ms, id, state);
CREATE INDEX finding_by_severity ON finding (severity, opened_ms, id, state);
CREATE INDEX finding_by_condition ON finding (condition, opened_ms, id, severity, state);
CREATE INDEX finding_by_resource ON finding (resource_id, opened_ms, id);
CREATE INDEX finding_by_incident ON finding (incident_id, opened_ms, id);

CREATE TABLE evidence (
  id         TEXT PRIMARY KEY,
  finding_id TEXT NOT NULL,
  what       TEXT NOT NULL,
  query      TEXT NOT NULL,
  from_ms    BIGINT NOT NULL,
  to_ms      BIGINT NOT NULL,
  series     TEXT NOT NULL,
  quotes     TEXT NOT NULL,
  taken_ms   BIGINT NOT NULL,
  hash       TEXT NOT NULL
);
CREATE INDEX evidence_by_finding ON evidence (finding_id, taken_ms, id);

CREATE TABLE incident (
  id           TEXT PRIMARY KEY,
  title        TEXT NOT NULL,
  state        TEXT NOT NULL,
  severity     TEXT NOT NULL,
  peak         TEXT NOT NULL,
  root_id      TEXT NOT NULL,
  owner        TEXT NOT NULL DEFAULT '',
  acked_by     TEXT NOT NULL DEFAULT '',
  acked_ms     BIGINT NOT NULL DEFAULT 0,
  opened_ms    BIGINT NOT NULL,
  mitigated_ms BIGINT NOT NULL DEFAULT 0,
  closed_ms    BIGINT NOT NULL DEFAULT 0,
  merged_into  TEXT NOT NULL DEFAULT '',
  version      BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX incident_by_opened ON incident (opened_ms, id);
CREATE INDEX incident_by_state ON incident (state, opened_ms, id);

CREATE TABLE incident_member (
  finding_id  TEXT PRIMARY KEY,
  incident_id TEXT NOT NULL,
  reason      TEXT NOT NULL,
  joined_ms   BIGINT NOT NULL
);
CREATE INDEX incident_member_by_incident ON incident_member (incident_id, joined_ms, finding_id);

CREATE TABLE delivery (
  id           TEXT PRIMARY KEY,
  channel      TEXT NOT NULL,
  dedupe_key   TEXT NOT NULL UNIQUE,
  state        TEXT NOT NULL,
  message      TEXT NOT NULL,
  incident_id  TEXT NOT NULL DEFAULT '',
  attempts     BIGINT NOT NULL DEFAULT 0,
  next_ms      BIGINT NOT NULL,
  created_ms   BIGINT NOT NULL,
  delivered_ms BIGINT NOT NULL DEFAULT 0,
  error        TEXT NOT NULL DEFAULT '',
  version      BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX delivery_by_due ON delivery (state, next_ms, id);
CREATE INDEX delivery_by_channel ON delivery (channel, created_ms, id);
CREATE INDEX delivery_by_incident ON delivery (incident_id, created_ms, id);
CREATE INDEX delivery_by_created ON delivery (created_ms, id);

CREATE TABLE audit (
  seq       BIGINT PRIMARY KEY,
  at_ms     BIGINT NOT NULL,
  actor     TEXT NOT NULL,
  on_behalf TEXT NOT NULL,
  verb      TEXT NOT NULL,
  object    TEXT NOT NULL,
  object_id TEXT NOT NULL,
  from_s    TEXT NOT NULL,
  to_s      TEXT NOT NULL,
  reason    TEXT NOT NULL,
  before_d  TEXT NOT NULL,
  after_d   TEXT NOT NULL,
  facts     TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash      TEXT NOT NULL
);
CREATE INDEX audit_by_object ON audit (object, object_id, seq);

CREATE TABLE audit_head (
  id   BIGINT PRIMARY KEY,
  seq  BIGINT NOT NULL,
  hash TEXT NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '');

CREATE TABLE reader (
  name TEXT PRIMARY KEY,
  seq  BIGINT NOT NULL
);

CREATE TABLE setting (
  name    TEXT PRIMARY KEY,
  value   TEXT NOT NULL,
  version BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE check_def (
  name         TEXT PRIMARY KEY,
  def          TEXT NOT NULL,
  origin       TEXT NOT NULL,
  beat_token   TEXT NOT NULL DEFAULT '',
  last_beat_ms BIGINT NOT NULL DEFAULT 0,
  version      BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX check_by_token ON check_def (beat_token);

CREATE TABLE account (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  role       TEXT NOT NULL,
  password   TEXT NOT NULL DEFAULT '',
  subject    TEXT NOT NULL DEFAULT '',
  created_ms BIGINT NOT NULL,
  disabled   BIGINT NOT NULL DEFAULT 0,
  version    BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE api_token (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  hash       TEXT NOT NULL UNIQUE,
  scopes     TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL DEFAULT 0,
  used_ms    BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE session (
  token      TEXT PRIMARY KEY,
  data       TEXT NOT NULL,
  expires_ms BIGINT NOT NULL
);
CREATE INDEX session_by_expiry ON session (expires_ms);

-- +goose Down
SELECT 1;
