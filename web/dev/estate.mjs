// A simulated estate for the pretend server: 10,000 resources on 12 hosts,
// with faults at known places.
const minute = 60_000
const hour = 60 * minute
const iso = (ms) => new Date(ms).toISOString()

/** noise is a repeatable number in 0..1 for a name and a step. */
function noise(name, n) {
  let h = 2166136261 ^ n
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 16777619)
  h ^= h >>> 13
  h = Math.imul(h, 0x5bd1e995)
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296
}

function smooth(name, t, period) {
  const n = Math.floor(t / period)
  const f = t / period - n
  const s = f * f * (3 - 2 * f)
  return noise(name, n) * (1 - s) + noise(name, n + 1) * s
}

const shapes = {
  cpu_busy_ratio: (r, t) => 0.06 + 0.25 * smooth(r, t, 20 * minute) + 0.18 * smooth(r + 'b', t, 90_000) + 0.05 * noise(r, t / 10_000),
  memory_used_ratio: (r, t) => 0.3 + 0.4 * noise(r, 1) + 0.06 * smooth(r, t, 2 * hour),
  swap_used_ratio: (r, t) => 0.02 + 0.02 * smooth(r, t, hour),
  fs_used_ratio: (r, t, now) => (r.endsWith('0f1') ? Math.max(0.71, 0.962 - ((now - t) / (3 * hour)) * 0.22) : 0.2 + 0.5 * noise(r, 3) + 0.01 * smooth(r, t, hour)),
  fs_inodes_used_ratio: (r) => 0.08 + 0.1 * noise(r, 4),
  fs_size_bytes: () => 512e9, fs_available_bytes: () => 19.6e9,
  load1: (r, t) => 0.5 + 3 * smooth(r, t, 5 * minute), load5: (r, t) => 0.7 + 2.4 * smooth(r, t, 20 * minute), load15: (r, t) => 0.9 + 2 * smooth(r, t, hour),
  uptime_seconds: (_, t) => (t / 1000) % 8e6,
  temperature_celsius: (r, t) => 42 + 12 * smooth(r, t, 30 * minute),
  container_memory_used_ratio: (r, t) => 0.4 + 0.5 * ((t % (40 * minute)) / (40 * minute)),
}
function shape(metric) {
  if (shapes[metric]) return shapes[metric]
  if (metric.endsWith('_bytes_per_s')) return (r, t) => 2e5 + 4e6 * smooth(r + metric, t, 10 * minute) ** 3
  if (metric.endsWith('_bytes')) return (r, t) => 4e8 * (1 + 0.2 * smooth(r + metric, t, hour))
  if (metric.endsWith('_ratio')) return (r, t) => 0.02 + 0.2 * smooth(r + metric, t, 15 * minute)
  if (metric.endsWith('_total')) return () => 3
  return (r, t) => Math.round(20 * smooth(r + metric, t, 20 * minute))
}
const splits = {
  cpu_mode_ratio: ['user', 'system', 'iowait', 'steal'].map((mode) => ({ mode })),
  cpu_core_busy_ratio: [0, 1, 2, 3].map((core) => ({ core: String(core) })),
  pressure_some_ratio: ['cpu', 'memory', 'io'].map((what) => ({ what })),
  temperature_celsius: [{ sensor: 'coretemp Package' }, { sensor: 'nvme Composite' }],
}

export function seriesOf(id, metric, from, to, points) {
  const now = Date.now()
  const each = Math.max(10_000, Math.ceil((to - from) / points / 10_000) * 10_000)
  const rolled = to - from > 25 * hour
  const f = shape(metric)
  return (splits[metric] ?? [undefined]).map((labels, n) => {
    const list = []
    for (let t = Math.ceil(from / each) * each; t <= Math.min(to, now); t += each) list.push({ at: iso(t), value: f(id + (n || ''), t, now) })
    const spread = (k) => list.map((p, i) => ({ at: p.at, value: metric.startsWith('fs_') ? p.value * (1 + k * 0.004) : Math.max(0, p.value * (1 + k * (0.15 + 0.3 * noise(id + metric, i)))) }))
    return { metric, labels, points: list, rolled, ...(rolled && { min: spread(-1), max: spread(1) }) }
  })
}

const allHosts = ['helm', 'atlas', 'birch', 'cedar', 'delta', 'ember', 'fjord', 'garnet', 'harbor', 'iris', 'juniper', 'kestrel']
const apps = ['nextcloud', 'immich', 'gitea', 'grafana', 'paperless', 'vaultwarden', 'jellyfin', 'postgres', 'redis', 'caddy', 'authelia', 'mosquitto']
const metricsOf = {
  host: ['cpu_busy_ratio', 'cpu_mode_ratio', 'cpu_core_busy_ratio', 'load1', 'load5', 'load15', 'memory_used_ratio', 'swap_used_ratio', 'memory_total_bytes', 'memory_available_bytes', 'pressure_some_ratio', 'temperature_celsius', 'uptime_seconds', 'processes_count', 'processes_running_count', 'context_switches_per_s'],
  filesystem: ['fs_used_ratio', 'fs_inodes_used_ratio', 'fs_size_bytes', 'fs_available_bytes'],
  disk: ['disk_read_bytes_per_s', 'disk_write_bytes_per_s', 'disk_busy_ratio', 'disk_await_seconds'],
  interface: ['net_receive_bytes_per_s', 'net_transmit_bytes_per_s'],
  container: ['container_cpu_ratio', 'container_memory_bytes', 'container_memory_limit_bytes', 'container_memory_used_ratio', 'container_net_receive_bytes_per_s', 'container_net_transmit_bytes_per_s', 'container_restarts_total'],
  check: ['check_up', 'check_duration_seconds'],
}

export function estate({ quiet, hosts = 12 }) {
  const now = Date.now()
  const hostNames = allHosts.slice(0, hosts)
  const w = { began: now - 26 * hour, seq: 0, resources: [], findings: [], incidents: [], transitions: [], deliveries: [] }
  const add = (id, kind, name, host, source, more = {}) => {
    const hostID = `res_h${hostNames.indexOf(host)}`
    const r = { id, kind, name, host, host_id: hostID, parent_id: kind === 'host' ? undefined : hostID, key: { host: 'k' + host, source, key: name }, presence: 'present', reachability: host === 'kestrel' ? 'unknown' : 'online', first_seen_at: iso(w.began), observed_at: iso(now - 8000 - 900 * (w.resources.length % 20)), generation: 1, version: 3, ...more }
    w.resources.push(r)
    return r
  }
  hostNames.forEach((h, i) => {
    add(`res_h${i}`, 'host', h, h, 'linux', { labels: { site: i < 8 ? 'home' : 'office' }, observed: { os: 'Debian GNU/Linux 13 (trixie)', kernel: '6.12.48+deb13-amd64', arch: 'x86_64', virtualization: i ? 'kvm' : 'none', cpu_count: '8', memory_total_bytes: '33554432000', clock_synchronised: 'true', reboot_required: i === 3 ? 'true' : 'false', updates_pending: '4', boot_at: iso(now - 40 * 24 * hour) } })
    ;['/', '/var/lib/docker', '/srv'].forEach((m, k) => add(`res_${i}f${k}`, 'filesystem', m, h, 'linux', { observed: { device: '/dev/sda' + (k + 1), fstype: 'ext4', read_only: 'false', remote: 'false' } }))
    ;['sda', 'nvme0n1'].forEach((d) => add(`res_${i}d${d}`, 'disk', d, h, 'linux', { observed: { model: 'Samsung SSD 990 PRO', rotational: 'false', smart_passed: 'true' } }))
    add(`res_${i}neth0`, 'interface', 'eth0', h, 'linux', { observed: { carrier: 'true', admin_up: 'true', speed_mbit: '2500' } })
    ;['ssh.service', 'docker.service', 'cron.service'].forEach((u) => add(`res_${i}u${u}`, 'unit', u, h, 'systemd', { observed: { active_state: 'active', sub_state: 'running', enabled: 'enabled' } }))
    apps.forEach((a, k) => add(`res_${i}s${k}`, 'service', `${a}/${a}`, h, 'docker', { observed: { desired: '1', running: '1' } }))
  })
  const rooms = hosts > 1 ? 9990 : 60
  for (let i = 0; w.resources.length < rooms; i++) {
    const [h, a] = [hostNames[i % hosts], apps[Math.floor(i / hosts) % 12]]
    add(`res_c${i}`, 'container', `${a}-${a}-${Math.floor(i / 144) + 1}`, h, 'docker', { parent_id: `res_${i % hosts}s${Math.floor(i / hosts) % 12}`, labels: { project: a, service: a }, observed: { runtime: 'docker', state: 'running', health: 'healthy', image: `ghcr.io/${a}/${a}:2`, restart_count: '0', project: a, service: a } })
  }
  w.checks = [
    { name: 'website', type: 'http', target: 'https://example.org/health', every_ms: 60_000, timeout_ms: 10_000, up: true, resource_id: 'res_k0' },
    { name: 'dns', type: 'dns', target: 'example.org', every_ms: 300_000, timeout_ms: 5000, up: true, resource_id: 'res_k1' },
    { name: 'nightly-backup', type: 'heartbeat', target: '', every_ms: 86_400_000, grace_ms: 3_600_000, up: true, heartbeat_url: 'http://127.0.0.1:7433/beat/6v1n8k3qpx', resource_id: 'res_k2' },
    { name: 'mail', type: 'tls', target: 'mail.example.org:465', every_ms: 600_000, timeout_ms: 10_000, up: false, error: 'the certificate expired 2 days ago', resource_id: 'res_k3' },
  ]
  w.checks.forEach((c, i) => add(`res_k${i}`, 'check', c.name, 'helm', 'check', { observed: { type: c.type, target: c.target, up: String(c.up) } }))

  const finding = (id, resource, condition, severity, age, summary, more = {}) => {
    const f = { id, resource_id: resource, condition, state: 'open', severity, peak_severity: severity, origin: 'rule', summary, first_seen_at: iso(now - age - 2 * minute), last_seen_at: iso(now - 8000), opened_at: iso(now - age), count: 4, episode: 1, flapping: false, version: 2, ...more }
    w.findings.push(f)
    return f
  }
  const t = (age, object, object_id, verb, to, actor, more = {}) => w.transitions.push({ seq: 0, at: iso(now - age), actor, verb, object, object_id, to, prev_hash: '', hash: noise(object_id + verb, age).toString(16).slice(2).padEnd(64, '7'), ...more })
  const deliver = (age, channel, state, incident, event, title, more = {}) => w.deliveries.push({ id: `dlv_${w.deliveries.length}`, channel, dedupe_key: incident + event, state, incident_id: incident, attempts: state === 'dead' ? 14 : 1, next_at: iso(now), created_at: iso(now - age), delivered_at: state === 'delivered' ? iso(now - age + 900) : undefined, message: { id: 'm', event, severity: 'critical', title, text: '', at: iso(now - age) }, ...more })
  const incident = (id, title, severity, age, members, more = {}) => {
    w.incidents.push({ id, title, state: 'open', severity, peak_severity: severity, root_finding_id: members[0][0].id, members: members.map(([f, reason]) => ({ finding_id: f.id, reason, joined_at: f.opened_at })), member_count: members.length, active_count: members.length, opened_at: iso(now - age), version: 1, ...more })
    for (const [f] of members) {
      f.incident_id = id
      t(age, 'finding', f.id, 'open', 'open', 'watch', { facts: { severity: f.severity } })
    }
    t(age - 200, 'incident', id, 'open', 'open', 'correlate', { facts: { severity } })
  }
  if (!quiet) {
    const full = finding('fnd_full', 'res_0f1', 'fs_full', 'critical', 22 * minute, '/var/lib/docker on helm is 96.2% full: 19.6 GB of 512 GB are left.', { facts: { used_ratio: '0.962', threshold: '0.95', available_bytes: '19600000000' } })
    const exits = [3, 15, 27].map((n, i) => finding('fnd_exit' + n, `res_c${n * 12}`, 'container_restart_loop', 'warning', (20 - i) * minute, `${w.resources.find((r) => r.id === `res_c${n * 12}`)?.name} restarted ${4 + i} times in 5 min; it ends with code 1.`))
    incident('inc_full', '/var/lib/docker on helm is 96.2% full', 'critical', 22 * minute, [[full, 'The root: the highest role among the members.'], ...exits.map((f) => [f, 'On the same host, opened within 5 min after its file system filled up.'])])
    deliver(22 * minute - 1500, 'ops-mail', 'delivered', 'inc_full', 'opened', full.summary)
    deliver(22 * minute - 1600, 'phone', 'dead', 'inc_full', 'opened', full.summary, { error: 'ntfy answered 403 Forbidden: reserved topic' })
    const gone = finding('fnd_gone', 'res_h11', 'host_unreachable', 'critical', 3 * minute, 'kestrel has not been heard of for 4 min; 832 resources on it are unknown.')
    incident('inc_gone', 'kestrel has not been heard of for 4 min', 'critical', 3 * minute, [[gone, 'The root.']])
    deliver(3 * minute - 1000, 'ops-mail', 'delivered', 'inc_gone', 'opened', gone.summary)
    const cert = finding('fnd_cert', 'res_k3', 'certificate_expiring', 'warning', 9 * hour, 'The certificate of mail.example.org:465 expires in 6 days (2026-11-28).', { state: 'acknowledged', acked_by: 'user:ada' })
    incident('inc_cert', 'The certificate of mail.example.org:465 expires in 6 days', 'warning', 9 * hour, [[cert, 'The root.']], { state: 'acknowledged', acked_by: 'user:ada', acked_at: iso(now - 8 * hour) })
    const boot = finding('fnd_boot', 'res_h3', 'reboot_required', 'warning', 30 * hour, 'cedar needs a restart: linux-image-6.12 was updated.', { suppression: { kind: 'snooze', reason: 'Sunday window', actor: 'user:ada', until: iso(now + 40 * hour), severity: 'warning' } })
    incident('inc_boot', 'cedar needs a restart', 'warning', 30 * hour, [[boot, 'The root.']])
  }
  const old = finding('fnd_old', 'res_h2', 'host_cpu_high', 'warning', 20 * hour, 'birch was 91% busy for 12 min.', { state: 'resolved', resolved_at: iso(now - 19 * hour), resolved_by: 'recovered' })
  incident('inc_old', 'birch is 91% busy', 'warning', 20 * hour, [[old, 'The root.']], { state: 'closed', closed_at: iso(now - 18.8 * hour), active_count: 0 })
  t(19 * hour, 'finding', 'fnd_old', 'recover', 'resolved', 'watch')
  for (let i = 0; i < 400; i++) t(21 * hour + i * 7 * minute, ['resource', 'delivery', 'user', 'finding'][i % 4], 'res_c' + i, ['appear', 'accept', 'sign_in', 'recover'][i % 4], '', ['ingest', 'notify', 'user:ada', 'watch'][i % 4])
  w.transitions.sort((a, b) => (a.at < b.at ? -1 : 1)).forEach((x) => (x.seq = ++w.seq))

  // Two hosts are held, one is degraded, one in maintenance, one has not come yet.
  const states = quiet || hosts < 12 ? {} : { kestrel: 'unreachable', ember: 'held', fjord: 'held', harbor: 'degraded', iris: 'maintenance' }
  const reasons = { kestrel: 'no heartbeat for 4m2s', ember: 'silent for 52s together with 4 of 11 hosts', fjord: 'silent for 49s together with 4 of 11 hosts', harbor: 'it beats, but has not answered on the command direction for 1m21s', iris: 'maintenance until 2026-05-01T18:00:00Z: disk is swapped' }
  w.fleet = hostNames.map((name, i) => {
    const state = states[name] ?? 'online'
    return { id: `host_${i}`, name, state, reason: reasons[name] ?? (i ? 'it joined with the invitation ivt_06h1h1yraxrxxfr6dcz19d8' : 'its agent is inside the server'), since: iso(now - (states[name] ? 4 * minute : 26 * hour)), local: i === 0, resource_id: `res_h${i}`, agent_version: name === 'delta' ? 'v0.9.4' : 'v1.0.0', server: state === 'unreachable' || state === 'held' ? '' : 'srv_06h1h1xrk0endw8wh0045t8', address: i ? `10.0.0.${10 + i}` : '', read_only: name === 'cedar',
      certificate_until: i ? iso(now + (name === 'birch' ? 9 : 130) * hour) : undefined, clock_skew_ms: name === 'garnet' ? -4210 : 12, spooled_reports: name === 'harbor' ? 38 : 0, heartbeat_ms: name === 'juniper' ? 60_000 : 0, grace_ms: 0, bytes_per_s: name === 'juniper' ? 65_536 : 0, maintenance_until: name === 'iris' ? iso(now + 3 * hour) : undefined,
      conflict: name === 'garnet' && !quiet ? 'another machine came with the key: nothing of its hardware is that of garnet' : undefined, conflict_at: iso(now - 9 * minute), created_at: iso(w.began), created_by: 'user:ada' }
  })
  if (hosts >= 12) w.fleet.push({ ...w.fleet[1], id: 'host_new', name: 'lumen', state: 'pending', reason: 'its certificate was revoked: its disk was stolen', since: iso(now - 50 * minute), resource_id: '', server: '', certificate_until: undefined })
  w.invitations = hosts >= 12 ? [{ id: 'ivt_1', name: 'meadow', created_at: iso(now - 12 * minute), created_by: 'user:ada', expires_at: iso(now + 48 * minute), heartbeat_ms: 0, grace_ms: 0, bytes_per_s: 0 }] : []
  w.clocks = (f, i) => {
    const t = Date.now()
    const silent = { unreachable: t - now + 4 * minute, held: t - now + 52_000, pending: 50 * minute }[f.state]
    const age = (n) => iso(t - (silent ?? (t + 3000 * (i + n)) % 14_000))
    return { ...f, heartbeat_at: age(1), control_proof_at: f.local ? undefined : f.state === 'degraded' ? iso(now - 81_000) : age(2), report_at: age(3) }
  }
  w.hostRows = () => [
    ...w.fleet.filter((f) => f.state !== 'removed').map((f, i) => {
      const at = ['unreachable', 'held', 'pending'].includes(f.state) ? now - 4 * minute : Date.now() - 3000
      const row = { id: f.id, name: f.name, resource_id: f.resource_id, observed_at: iso(at), reachability: f.state, findings: 0, fleet: w.clocks(f, i) }
      return f.state === 'pending' ? row : { ...row, cpu_busy_ratio: shapes.cpu_busy_ratio(`res_h${i}`, Date.now()), memory_used_ratio: shapes.memory_used_ratio(`res_h${i}`, Date.now()), fs_worst_used_ratio: i === 0 && !quiet ? 0.962 : 0.25 + 0.4 * noise(f.name, 2), findings: quiet ? 0 : ([4, 0, 0, 1][i] ?? (i === 11 ? 1 : 0)) }
    }),
    ...w.invitations.map((i) => ({ id: i.id, name: i.name, resource_id: '', observed_at: '0001-01-01T00:00:00Z', reachability: 'pending', findings: 0, invitation: i })),
  ]
  w.authority = { fingerprint: 'sha256:dca2063b149d7801a596268cb1885a745ccfee5a7583b066c78a053e863eb9fd', until: iso(now + 3650 * 24 * hour), waiting: [] }
  w.loops = () => ['ingest', 'watch', 'correlate', 'notify', 'tsdb-compact', 'sessions', 'audit-head', 'reconcile'].map((name, i) => ({ name, doc: 'What this loop does, in one line.', every_ms: [1000, 10_000, 2000, 1000, 7_200_000, 600_000, 60_000, 30_000][i], passes: 93_400 - i * 900, failures: i === 3 && !quiet ? 4 : 0, running: false, started_at: iso(Date.now() - 4000), ended_at: iso(Date.now() - 3990), last_ok_at: iso(Date.now() - (i === 3 && !quiet ? 5 * minute : 3990)), last_pass_ms: 2 + i * 3, error: i === 3 && !quiet ? 'channel phone: ntfy answered 403 Forbidden: reserved topic' : undefined }))
  w.collectors = () => hostNames.slice(0, 4).flatMap((host) => ['cpu', 'memory', 'filesystem', 'disk', 'network', 'docker', 'systemd', 'smart', 'zfs', 'clock', 'packages'].map((name, i) => ({ host, name, state: name === 'smart' && !quiet ? 'gap' : 'ok', every_ms: 10_000 * (1 + (i % 4)), took_ms: 1 + i * 3, last_ok_at: iso(Date.now() - 5000), gaps: name === 'smart' && !quiet ? [{ what: 'SMART health and wear of 2 disks', why: 'smartctl is not installed', remedy: 'apt install smartmontools' }] : [] })))
  w.stores = [{ name: 'state', state: 'ok', detail: 'SQLite, write-ahead log', size_bytes: 48e6, facts: { audit_head: 'seq 93412, 7f3a…', findings: 812 } }, { name: 'samples', state: 'ok', detail: 'embedded time series', size_bytes: 2.1e9, facts: { series: 41230, oldest: '30 d' } }]
  w.channels = [{ name: 'ops-mail', type: 'email', state: 'ok', last_delivered_at: iso(now - 3 * minute), queued: 0, dead: 0 }, { name: 'phone', type: 'ntfy', state: quiet ? 'ok' : 'failing', last_delivered_at: iso(now - 50 * hour), queued: quiet ? 0 : 2, dead: quiet ? 0 : 1 }]
  w.users = [{ id: 'usr_1', name: 'ada', role: 'admin', last_seen_at: iso(now) }, { id: 'usr_2', name: 'grace', role: 'viewer', last_seen_at: iso(now - 50 * hour) }]
  w.tokens = [{ id: 'tok_1', name: 'grafana', scopes: ['read'], created_at: iso(now - 90 * hour), last_used_at: iso(now - minute) }]
  w.detectors = [['fs_full', 'File system is almost full', ['filesystem'], [['warning', 0.85], ['critical', 0.95]]], ['host_cpu_high', 'CPU is busy for long', ['host'], [['warning', 0.8]]], ['container_restart_loop', 'Container restarts again and again', ['container'], []], ['certificate_expiring', 'Certificate expires soon', ['certificate', 'check'], []]].map(([name, title, kinds, th]) => ({ name, title, doc: 'Opens when the share used is above the threshold and clears 5 points below it.', kinds, metrics: name === 'fs_full' ? ['fs_used_ratio'] : [], hold_ms: 120_000, clear_ms: 300_000, thresholds: th.map(([n, v]) => ({ name: n, default: v * 100, unit: 'percent', doc: 'Share used.' })) }))

  w.resourceDetail = (id) => {
    const r = w.resources.find((x) => x.id === id)
    return r && { ...r, children: w.resources.filter((x) => x.parent_id === id).slice(0, 60), metrics: metricsOf[r.kind] ?? [], findings: w.findings.filter((f) => f.resource_id === id) }
  }
  w.findingDetail = (id) => {
    const f = w.findings.find((x) => x.id === id)
    if (!f) return
    const r = w.resources.find((x) => x.id === f.resource_id)
    const metric = { fs_full: 'fs_used_ratio', host_cpu_high: 'cpu_busy_ratio', host_unreachable: 'cpu_busy_ratio' }[f.condition]
    const opened = Date.parse(f.opened_at)
    const series = metric ? seriesOf(f.resource_id, metric, opened - 90 * minute, opened + 5 * minute, 300) : []
    return { ...f, resource: r, evidence: [{ id: 'evd_' + id, finding_id: id, what: metric ? 'Share used, and how it rose' : 'The last lines it wrote', query: metric && `${metric}{resource="${r?.id}"}`, from: iso(opened - 90 * minute), to: iso(opened + 5 * minute), series, quotes: metric ? [] : ['FATAL: could not write to file "pg_wal/xlogtemp.31": No space left on device', 'exited with code 1'], taken_at: f.opened_at, hash: 'b1946ac92492d2347c6235b4d2611184' }], transitions: w.transitions.filter((x) => x.object_id === id), history: [old].filter((o) => o.id !== id && o.condition === f.condition), deliveries: w.deliveries.filter((d) => d.incident_id === f.incident_id) }
  }
  w.incidentDetail = (id) => {
    const i = w.incidents.find((x) => x.id === id)
    if (!i) return
    const findings = i.members.map((m) => w.findings.find((f) => f.id === m.finding_id))
    const ids = new Set([id, ...findings.map((f) => f.id)])
    return { ...i, findings, resources: Object.fromEntries(findings.map((f) => [f.resource_id, w.resources.find((r) => r.id === f.resource_id)])), transitions: w.transitions.filter((x) => ids.has(x.object_id)), deliveries: w.deliveries.filter((d) => d.incident_id === id), explain: { what: findings[0].summary, since: findings[0].first_seen_at, why: ['fs_used_ratio was above 95% for 2 min, the hold time of fs_full.', 'Three containers on the same host failed within 5 min after it; a full file system explains them.'], causes: ['Images and layers of old containers that nobody pruned', 'A container that writes its log without a limit', 'A volume that grew: a database, uploads'], checks: ['See what Docker holds: `docker system df`; free what is unused: `docker system prune`.', 'See what is large: `du -xh -d2 /var/lib/docker | sort -h | tail`.', 'Shrink the journal: `journalctl --disk-usage`.'], told: ['ops-mail, 1 s after it opened', 'phone: gave up after 14 tries'] } }
  }
  return w
}
