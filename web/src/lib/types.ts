// The shapes of the API, as the json tags of internal/ops have them.

export type Severity = 'warning' | 'critical'
export type FindingState = 'open' | 'acknowledged' | 'resolved' | 'closed'
export type IncidentState = 'open' | 'acknowledged' | 'mitigated' | 'closed'
export type Strings = Record<string, string>

export interface Resource {
  id: string
  kind: string
  name: string
  host_id: string
  host: string
  parent_id?: string
  key: { host: string; source: string; key: string }
  labels?: Strings
  desired?: Strings
  observed?: Strings
  presence: 'present' | 'absent' | 'removed'
  reachability: string
  first_seen_at: string
  observed_at: string
  generation: number
  version: number
}

export interface Point {
  at: string
  value: number
}

export interface Series {
  metric: string
  labels?: Strings
  points: Point[]
  min?: (Point | number | null)[]
  max?: (Point | number | null)[]
  rolled?: boolean
}

export interface Suppression {
  kind: string
  reason: string
  actor: string
  until?: string
  severity: Severity
}

export interface Finding {
  id: string
  resource_id: string
  condition: string
  state: FindingState
  severity: Severity
  peak_severity: Severity
  origin: string
  summary: string
  facts?: Strings
  first_seen_at: string
  last_seen_at: string
  opened_at: string
  resolved_at?: string
  resolved_by?: string
  closed_at?: string
  count: number
  episode: number
  flapping: boolean
  suppression?: Suppression
  acked_by?: string
  acked_at?: string
  claim?: string
  incident_id?: string
  previous_id?: string
  version: number
}

export interface Evidence {
  id: string
  finding_id: string
  what: string
  query?: string
  from: string
  to: string
  series?: Series[]
  quotes?: string[]
  taken_at: string
  hash: string
}

export interface Transition {
  seq: number
  at: string
  actor: string
  on_behalf?: string
  verb: string
  object: string
  object_id: string
  from?: string
  to?: string
  reason?: string
  facts?: Strings
  prev_hash?: string
  hash?: string
}

export interface Delivery {
  id: string
  channel: string
  dedupe_key: string
  state: 'queued' | 'sending' | 'delivered' | 'dead' | 'dropped'
  message: { id: string; event: string; severity: Severity; title: string; text: string; incident_id?: string; at: string }
  incident_id?: string
  attempts: number
  next_at: string
  created_at: string
  delivered_at?: string
  error?: string
}

export interface Incident {
  id: string
  title: string
  state: IncidentState
  severity: Severity
  peak_severity: Severity
  root_finding_id: string
  members?: { finding_id: string; reason: string; joined_at: string }[]
  member_count: number
  active_count: number
  owner?: string
  acked_by?: string
  acked_at?: string
  opened_at: string
  mitigated_at?: string
  closed_at?: string
  merged_into?: string
  version: number
}

export interface Explain {
  what: string
  since: string
  why?: string[]
  causes?: string[]
  checks?: string[]
  told?: string[]
}

export interface IncidentDetail extends Incident {
  findings?: Finding[]
  resources?: Record<string, Resource>
  transitions?: Transition[]
  deliveries?: Delivery[]
  explain?: Explain
}

export interface FindingDetail extends Finding {
  resource?: Resource
  evidence?: Evidence[]
  transitions?: Transition[]
  history?: Finding[]
  deliveries?: Delivery[]
}

export interface ResourceDetail extends Resource {
  children?: Resource[]
  metrics?: string[]
  findings?: Finding[]
}

export interface HostRow {
  id: string
  name: string
  resource_id: string
  observed_at?: string
  reachability: string
  cpu_busy_ratio?: number | null
  memory_used_ratio?: number | null
  fs_worst_used_ratio?: number | null
  findings: number
  /** What is known of its agent; none for one that is only invited. */
  fleet?: FleetHost
  /** Of a host that is invited and has not joined. */
  invitation?: Invitation
}

export type HostState = 'pending' | 'online' | 'degraded' | 'held' | 'unreachable' | 'maintenance' | 'removed'

export interface FleetHost {
  id: string
  name: string
  state: HostState
  reason?: string
  since: string
  local: boolean
  resource_id?: string
  certificate_until?: string
  address?: string
  server?: string
  agent_version?: string
  protocol?: number
  read_only: boolean
  heartbeat_at?: string
  control_proof_at?: string
  report_at?: string
  clock_skew_ms: number
  spooled_reports: number
  heartbeat_ms: number
  grace_ms: number
  bytes_per_s: number
  maintenance_until?: string
  conflict_at?: string
  conflict?: string
  created_at: string
  created_by: string
}

export interface Invitation {
  id: string
  name: string
  host_id?: string
  created_at: string
  created_by: string
  expires_at: string
}

/** How a host joins: the line is answered once. */
export interface Joining {
  invitation: Invitation
  address: string
  token: string
  fingerprint: string
  approvers?: string
  command: string
}

export interface Authority {
  fingerprint: string
  until: string
  next_fingerprint?: string
  before_fingerprint?: string
  before_until?: string
  waiting: string[]
  problem?: string
}

export interface FleetState {
  blind: { tripped: boolean; silent: number; expected: number; since?: string; judging: boolean }
  connected: number
  authority: Authority
  /** Those that live on the server's database. */
  servers: Server[] | null
  address: string
  problem?: string
}

export interface Server {
  id: string
  name: string
  version: string
  address?: string
  external_metrics: boolean
  since: string
  seen_at: string
  on_duty: boolean
  away?: boolean
}

export type Running = 'running' | 'paused' | 'stopped' | 'absent'

/** A Workload is what can be commanded on a host: what is wanted of it, what was seen. */
export interface Workload {
  id: string
  host_id: string
  host: string
  driver: string
  name: string
  /** Empty while nobody declared it. */
  desired: Running | ''
  desired_by?: string
  source?: string
  /** What reeve.yaml says of it. */
  configured?: string
  observed: Running | 'unknown'
  raw_label?: string
  reachability: string
  operation?: string
  action_id?: string
  deadline?: string
  tombstone: boolean
  problems: Strings
  reason: string
  up_since?: string
  changed_at: string
  generation: number
  resource_id?: string
  version: number
}

export interface WorkloadDetail extends Workload {
  actions: Action[]
  transitions: Transition[]
}

export interface Suggestion {
  workload: Workload
  desired: Running
  why: string
}

export interface Driver {
  name: string
  doc: string
  operations: string[]
  permissions: string
}

export type ActionState = 'awaiting_approval' | 'approved' | 'dispatching' | 'running' | 'succeeded' | 'failed' | 'unknown' | 'rejected' | 'expired' | 'withdrawn' | 'superseded'

/** A Plan is what an approver signs the hash of. */
export interface Plan {
  id: string
  verb: string
  adapter: string
  target_host: string
  target: string
  generation: number
  params?: Strings
  preconditions?: Strings
  expires_at: string
  idempotency_key: string
  reason: string
  proposer: string
}

export interface Approval {
  plan_hash: string
  approver: string
  decision: string
  reason: string
  signed_at: string
  expires_at: string
}

export interface Receipt {
  state: string
  started_at: string
  ended_at?: string
  output?: string
  error?: string
  before?: Strings
  after?: Strings
}

export interface Action {
  id: string
  state: ActionState
  verb: string
  host_id: string
  workload_id: string
  plan: Plan
  plan_hash: string
  reason?: string
  proposed_by: string
  proposed_at: string
  expires_at: string
  approval?: Approval
  approved_by?: string
  approved_at?: string
  server?: string
  deadline?: string
  receipt?: Receipt
  why?: string
  ended_at?: string
  version: number
}

export interface ActionDetail extends Action {
  transitions: Transition[]
}

export interface Approvers {
  root: string
  sets: { version: number; keys: { id: string; name: string; added_at: string }[] }[]
}

export interface LoopStatus {
  name: string
  doc: string
  every_ms: number
  passes: number
  failures: number
  running: boolean
  started_at: string
  ended_at: string
  last_ok_at: string
  last_pass_ms: number
  error?: string
  failing_since?: string
}

export interface StoreStatus {
  name: string
  state: string
  detail?: string
  size_bytes?: number
  facts?: Record<string, string | number>
}

export interface Gap {
  what: string
  why: string
  remedy?: string
}

export interface CollectorStatus {
  host: string
  name: string
  state: string
  error?: string
  gaps?: Gap[]
  every_ms: number
  last_ok_at?: string
  resource_id?: string
  took_ms?: number
}

export interface ChannelStatus {
  name: string
  type: string
  state: string
  last_delivered_at?: string
  queued: number
  dead: number
  error?: string
  doc?: string
}

export interface Status {
  version: string
  started_at: string
  now: string
  host: string
  hosts?: HostRow[]
  counts: {
    resources: number
    resources_by_kind?: Record<string, number>
    findings_open: number
    findings_critical: number
    incidents_open: number
    incidents_by_state?: Record<string, number>
  }
  loops?: LoopStatus[]
  stores?: StoreStatus[]
  collectors?: CollectorStatus[]
  channels?: ChannelStatus[]
  coverage?: Record<string, number | string>
}

export interface Check {
  name: string
  type: string
  target: string
  every_ms?: number
  timeout_ms?: number
  grace_ms?: number
  heartbeat_url?: string
  resource_id?: string
  up?: boolean | null
  error?: string
  from_config?: boolean
  [option: string]: unknown
}

export interface Detector {
  name: string
  title: string
  doc: string
  kinds?: string[]
  metrics?: string[]
  hold_ms?: number
  clear_ms?: number
  window_ms?: number
  thresholds?: { name: string; default: number; value?: number; unit: string; doc: string }[]
}

export interface User {
  id: string
  name: string
  role: 'viewer' | 'operator' | 'admin'
  created_at?: string
  oidc?: boolean
  disabled?: boolean
}

export interface Token {
  id: string
  name: string
  scopes?: string[]
  created_at?: string
  last_used_at?: string
  expires_at?: string
  secret?: string
  token?: string
}

export interface List<T> {
  items: T[]
  next?: string
}
