-- +goose Up
CREATE TABLE run (
  id            TEXT PRIMARY KEY,
  trigger_kind  TEXT NOT NULL,
  triggers      BIGINT NOT NULL DEFAULT 1,
  reason        TEXT NOT NULL DEFAULT '',
  actor         TEXT NOT NULL,
  depth         TEXT NOT NULL,
  priority      BIGINT NOT NULL,
  asked         TEXT NOT NULL,
  asked_hash    TEXT NOT NULL,
  state         TEXT NOT NULL,
  health        TEXT NOT NULL DEFAULT '',
  quiet         BIGINT NOT NULL DEFAULT 0,
  queued_ms     BIGINT NOT NULL,
  not_before_ms BIGINT NOT NULL DEFAULT 0,
  started_ms    BIGINT NOT NULL DEFAULT 0,
  ended_ms      BIGINT NOT NULL DEFAULT 0,
  starts        BIGINT NOT NULL DEFAULT 0,
  merged_into   TEXT NOT NULL DEFAULT '',
  model         TEXT NOT NULL DEFAULT '',
  tokens        TEXT NOT NULL DEFAULT '{}',
  cost          BIGINT,
  digest        TEXT NOT NULL DEFAULT '',
  summary       TEXT NOT NULL DEFAULT '',
  error         TEXT NOT NULL DEFAULT '',
  detail        TEXT NOT NULL DEFAULT '{}',
  version       BIGINT NOT NULL DEFAULT 1,
  owner         TEXT NOT NULL DEFAULT '',
  beat_ms       BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX run_by_queued ON run (queued_ms, id);
CREATE INDEX run_by_state ON run (state, ended_ms, id);
CREATE INDEX run_by_scope ON run (asked_hash, queued_ms, id);
CREATE INDEX run_by_start ON run (started_ms);

CREATE TABLE run_trigger (
  id        TEXT PRIMARY KEY,
  kind      TEXT NOT NULL,
  scope     TEXT NOT NULL,
  reason    TEXT NOT NULL DEFAULT '',
  actor     TEXT NOT NULL,
  source_id TEXT NOT NULL,
  at_ms     BIGINT NOT NULL,
  run_id    TEXT NOT NULL,
  UNIQUE (kind, source_id)
);
CREATE INDEX run_trigger_by_run ON run_trigger (run_id, at_ms, id);

-- When a resource was last looked at by a scoped run: spacing survives restart.
CREATE TABLE run_look (
  resource_id TEXT PRIMARY KEY,
  at_ms       BIGINT NOT NULL
);

-- What a run did while it was going on, for the live view and its resume.
CREATE TABLE run_event (
  run_id TEXT NOT NULL,
  seq    BIGINT NOT NULL,
  at_ms  BIGINT NOT NULL,
  type   TEXT NOT NULL,
  data   TEXT NOT NULL,
  PRIMARY KEY (run_id, seq)
);

-- What a run's model was given and answered, for a replay.
CREATE TABLE run_record (
  run_id TEXT PRIMARY KEY,
  record TEXT NOT NULL
);

CREATE TABLE model_call (
  id            TEXT PRIMARY KEY,
  at_ms         BIGINT NOT NULL,
  model         TEXT NOT NULL,
  use_for       TEXT NOT NULL,
  run_id        TEXT NOT NULL DEFAULT '',
  resource_id   TEXT NOT NULL DEFAULT '',
  attempt       BIGINT NOT NULL DEFAULT 1,
  latency_ms    BIGINT NOT NULL,
  input         BIGINT NOT NULL,
  cached        BIGINT NOT NULL,
  cache_write   BIGINT NOT NULL,
  output        BIGINT NOT NULL,
  reasoning     BIGINT NOT NULL,
  estimated     BIGINT NOT NULL DEFAULT 0,
  cost          BIGINT,
  request_bytes BIGINT NOT NULL DEFAULT 0,
  reply_bytes   BIGINT NOT NULL DEFAULT 0,
  outcome       TEXT NOT NULL,
  error         TEXT NOT NULL DEFAULT ''
);
CREATE INDEX model_call_by_time ON model_call (at_ms, id);
CREATE INDEX model_call_by_run ON model_call (run_id, at_ms, id);
CREATE INDEX model_call_by_model ON model_call (model, at_ms, id);

CREATE TABLE model_exam (
  model    TEXT PRIMARY KEY,
  at_ms    BIGINT NOT NULL,
  grade    TEXT NOT NULL,
  identity TEXT NOT NULL,
  result   TEXT NOT NULL
);

CREATE TABLE investigation (
  id          TEXT PRIMARY KEY,
  incident_id TEXT NOT NULL,
  trigger_by  TEXT NOT NULL,
  actor       TEXT NOT NULL,
  state       TEXT NOT NULL,
  active      BIGINT NOT NULL,
  attempt     BIGINT NOT NULL,
  starts      BIGINT NOT NULL DEFAULT 0,
  model       TEXT NOT NULL DEFAULT '',
  queued_ms   BIGINT NOT NULL,
  not_before_ms BIGINT NOT NULL DEFAULT 0,
  started_ms  BIGINT NOT NULL DEFAULT 0,
  ended_ms    BIGINT NOT NULL DEFAULT 0,
  summary     TEXT NOT NULL DEFAULT '',
  confidence  TEXT NOT NULL DEFAULT '',
  tokens      TEXT NOT NULL DEFAULT '{}',
  cost        BIGINT,
  error       TEXT NOT NULL DEFAULT '',
  detail      TEXT NOT NULL DEFAULT '{}',
  version     BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX investigation_one_active ON investigation (incident_id) WHERE active = 1;
CREATE INDEX investigation_by_incident ON investigation (incident_id, queued_ms, id);
CREATE INDEX investigation_by_queued ON investigation (queued_ms, id);

CREATE TABLE note (
  id          TEXT PRIMARY KEY,
  resource_id TEXT NOT NULL DEFAULT '',
  condition   TEXT NOT NULL DEFAULT '',
  finding_id  TEXT NOT NULL DEFAULT '',
  kind        TEXT NOT NULL,
  text        TEXT NOT NULL,
  author      TEXT NOT NULL,
  state       TEXT NOT NULL,
  at_ms       BIGINT NOT NULL,
  decided_by  TEXT NOT NULL DEFAULT '',
  version     BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX note_by_resource ON note (resource_id, state, at_ms, id);
CREATE INDEX note_by_time ON note (at_ms, id);
CREATE INDEX note_by_condition ON note (condition, state, at_ms, id);
-- What people decided about findings and why is knowledge too.
CREATE INDEX audit_decisions ON audit (seq) WHERE object = 'finding' AND verb IN ('suppress', 'claim', 'accept');

-- +goose Down
SELECT 1;
