// A pretend server for work on the page: the API over a simulated estate, and
// dist under the real content policy. Never part of Reeve itself.
//   node dev/fake.mjs [--port 7499] [--quiet-estate] [--one-host] [--no-way-in] [--signed-out] [--viewer]
import { createServer } from 'node:http'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { estate, seriesOf } from './estate.mjs'
import { workOf } from './work.mjs'

const flag = (name) => process.argv.includes('--' + name)
const port = Number(process.argv[process.argv.indexOf('--port') + 1]) || 7499
const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist')
const world = estate({ quiet: flag('quiet-estate'), hosts: flag('one-host') ? 1 : 12 })
const session = { user: flag('signed-out') ? null : { id: 'usr_1', name: 'ada', role: flag('viewer') ? 'viewer' : 'admin' }, needs_password: false }
const policy = "default-src 'self'; base-uri 'self'; frame-ancestors 'none'; form-action 'self'; object-src 'none'"
const work = workOf(world)
const streams = new Set()

const iso = (ms) => new Date(ms).toISOString()
const page = (list, q) => {
  const limit = Math.min(1000, Number(q.get('limit')) || 100)
  const start = Number(q.get('cursor')) || 0
  return { items: list.slice(start, start + limit), next: start + limit < list.length ? String(start + limit) : undefined }
}

function happen(object, object_id, verb, from, to, reason, facts) {
  const t = { seq: ++world.seq, at: iso(Date.now()), actor: 'user:ada', verb, object, object_id, from, to, reason, facts, hash: world.seq.toString(16).padStart(64, '0'), prev_hash: '' }
  world.transitions.push(t)
  for (const s of streams) s.write(`id: ${t.seq}\nevent: transition\ndata: ${JSON.stringify(t)}\n\n`)
}

const inState = (state) => (x) => !state || x.state === state || (state === 'active' && ['open', 'acknowledged', 'mitigated'].includes(x.state))

function resources(q) {
  let list = world.resources
  for (const f of ['kind', 'presence']) if (q.get(f)) list = list.filter((r) => r[f] === q.get(f))
  if (q.get('host')) list = list.filter((r) => r.host === q.get('host') || r.host_id === q.get('host'))
  for (const l of q.getAll('label')) {
    const [k, v] = l.split('=')
    list = list.filter((r) => r.labels?.[k] === v)
  }
  const text = (q.get('q') ?? '').toLowerCase()
  if (text) list = list.filter((r) => (r.name + ' ' + r.host + ' ' + r.kind).toLowerCase().includes(text))
  const sort = q.get('sort') ?? 'name'
  const by = sort.replace('-', '')
  const sorted = [...list].sort((a, b) => (a[by] < b[by] ? -1 : a[by] > b[by] ? 1 : 0))
  return page(sort.startsWith('-') ? sorted.reverse() : sorted, q)
}

function status() {
  const kinds = {}
  for (const r of world.resources) kinds[r.kind] = (kinds[r.kind] ?? 0) + 1
  const open = world.findings.filter(inState('active'))
  const incidents = world.incidents.filter((i) => i.state === 'open' || i.state === 'acknowledged')
  return {
    version: '0.1.0', started_at: iso(world.began), now: iso(Date.now()), host: 'helm', hosts: world.hostRows(),
    counts: {
      resources: world.resources.length, resources_by_kind: kinds, findings_open: open.length,
      findings_critical: open.filter((f) => f.severity === 'critical').length, incidents_open: incidents.length, incidents_by_state: Object.fromEntries(['open', 'acknowledged', 'mitigated', 'closed'].map((s) => [s, world.incidents.filter((i) => i.state === s).length])),
    },
    loops: world.loops(), stores: world.stores, collectors: world.collectors(), channels: world.channels,
    coverage: { metrics_series: 41230, samples_per_s: 4120, resources_watched: world.resources.length, resources_without_samples: 12, conditions: 42 },
  }
}

const routes = [
  ['GET', /^status$/, status],
  ['GET', /^session$/, () => ({ user: session.user, csrf: 'c5rf', needs_password: session.needs_password, oidc: false })],
  ['POST', /^session$/, ({ body }) => (body.password === 'wrong' ? fail(401, 'Not signed in', 'The name or the password is wrong.') : void (session.user = { id: 'usr_1', name: body.name, role: 'admin' }))],
  ['POST', /^session\/link$/, () => void ((session.user = { id: 'usr_1', name: 'admin', role: 'admin' }), (session.needs_password = true))],
  ['POST', /^session\/password$/, () => void (session.needs_password = false)],
  ['DELETE', /^session$/, () => void (session.user = null)],
  ['GET', /^hosts$/, () => ({ items: world.hostRows() })],
  ['GET', /^fleet$/, () => ({ blind: { tripped: world.fleet.some((f) => f.state === 'held'), silent: 4, expected: 11, since: iso(world.began + 26 * 3600e3 - 90_000), judging: true }, connected: 9, authority: world.authority, servers: flag('one-host') ? [] : work.servers, address: flag('no-way-in') ? '' : 'reeve://10.0.0.2:7434', problem: flag('no-way-in') ? 'agents of other machines have no way in: start the server with --listen-tls :7434, or set fleet.address to the proxy before it' : undefined })],
  ['POST', /^fleet\/rotate$/, ({ body }) => {
    const a = world.authority
    world.authority = body.finish ? { fingerprint: a.next_fingerprint, until: a.until, before_fingerprint: a.fingerprint, before_until: iso(Date.now() + 7 * 86400e3), waiting: [] } : { ...a, next_fingerprint: a.fingerprint.replace('dca2', '71f0'), waiting: ['kestrel', 'ember'] }
    happen('authority', 'fleet.authority', 'rotate', '', '', body.reason)
    return world.authority
  }],
  ['POST', /^hosts$/, ({ body }) => {
    const i = { id: 'ivt_' + Date.now(), name: body.name, created_at: iso(Date.now()), created_by: 'user:ada', expires_at: iso(Date.now() + 3600e3), heartbeat_ms: 0, grace_ms: 0, bytes_per_s: 0 }
    world.invitations.push(i)
    happen('host', '', 'invite', '', '', '', { name: body.name })
    setTimeout(() => {
      if (!world.invitations.includes(i)) return
      world.invitations = world.invitations.filter((x) => x !== i)
      world.fleet.push({ ...world.fleet[1], id: 'host_' + Date.now(), name: body.name, state: 'online', since: iso(Date.now()), resource_id: '', reason: 'it joined with the invitation ' + i.id })
      happen('host', world.fleet.at(-1).id, 'enrol', 'pending', 'online', 'it joined with the invitation ' + i.id, { name: body.name })
    }, Number(process.env.JOIN_MS) || 20_000)
    return { invitation: i, address: 'reeve://10.0.0.2:7434', token: 'rvj_0BeUq8eqCuNPFdTb2_SjRxU38AwmOx6a', fingerprint: world.authority.fingerprint, command: `reeve-agent join reeve://10.0.0.2:7434 --token rvj_0BeUq8eqCuNPFdTb2_SjRxU38AwmOx6a --authority ${world.authority.fingerprint}` }
  }],
  ['DELETE', /^hosts\/([^/]+)$/, ({ m }) => {
    world.invitations = world.invitations.filter((i) => i.id !== m[1])
    const f = world.fleet.find((x) => x.id === m[1])
    if (f) f.state = 'removed'
    happen('host', m[1], 'remove', '', 'removed')
  }],
  ['POST', /^hosts\/([^/]+)\/(.+)$/, ({ m, body }) => {
    const f = world.fleet.find((x) => x.id === m[1])
    const to = { maintenance: 'maintenance', 'maintenance/end': 'online', release: 'unreachable', revoke: 'pending' }[m[2]] ?? f.state
    const verb = { maintenance: 'maintain', 'maintenance/end': 'end', release: 'silence', accept: 'accept_machine' }[m[2]] ?? m[2]
    happen('host', f.id, verb, f.state, to, body.reason)
    Object.assign(f, { state: to, reason: body.reason ?? verb, since: iso(Date.now()), maintenance_until: body.until, conflict: undefined })
    return f
  }],
  ['GET', /^resources$/, ({ q }) => resources(q)],
  ['GET', /^resources\/([^/]+)$/, ({ m }) => world.resourceDetail(m[1]) ?? fail(404, 'Not found')],
  ['GET', /^resources\/([^/]+)\/series$/, ({ m, q }) => ({
    series: q.getAll('metric').flatMap((metric) => seriesOf(m[1], metric, Date.parse(q.get('from')), Date.parse(q.get('to')), Number(q.get('points')) || 300)),
  })],
  ['GET', /^findings$/, ({ q }) => page(world.findings.filter(inState(q.get('state'))).filter((f) => !q.get('resource') || f.resource_id === q.get('resource')), q)],
  ['GET', /^findings\/([^/]+)$/, ({ m }) => world.findingDetail(m[1]) ?? fail(404, 'Not found')],
  ['POST', /^findings\/([^/]+)\/(ack|suppress|unsuppress|resolve)$/, ({ m, body }) => deed(m[1], m[2], body)],
  ['GET', /^incidents$/, ({ q }) => page(world.incidents.filter(inState(q.get('state'))), q)],
  ['GET', /^incidents\/([^/]+)$/, ({ m }) => world.incidentDetail(m[1]) ?? fail(404, 'Not found')],
  ['POST', /^incidents\/([^/]+)\/ack$/, ({ m, body }) => {
    const i = world.incidents.find((x) => x.id === m[1])
    Object.assign(i, { state: 'acknowledged', acked_by: 'user:ada', acked_at: iso(Date.now()) })
    happen('incident', i.id, 'acknowledge', 'open', 'acknowledged', body.reason)
  }],
  ['GET', /^explain\/?(.*)$/, ({ m, q }) => ({
    subject: m[1] || `${q.get('resource')} ${q.get('condition')}`, verdict: 'It is open and two channels were told: the file system is 96.2% full for 22 min.',
    steps: [
      { step: 'Is there fresh data?', answer: 'yes', why: 'The newest reading of fs_used_ratio is 8 s old.' },
      { step: 'Is the condition true?', answer: 'yes', why: '96.2% is above the critical threshold of 95%.' },
      { step: 'Has it held long enough?', answer: 'yes', why: 'It is true for 22 min; the hold time is 2 min.' },
      { step: 'Was anyone told?', answer: 'yes', why: 'Delivered to ops-mail and phone.' },
    ],
  })],
  ['GET', /^workloads$/, ({ q }) => page(work.workloads.filter((w) => (!q.get('host') || w.host === q.get('host') || w.host_id === q.get('host')) && (!q.get('driver') || w.driver === q.get('driver')) && (!q.get('declared') || w.desired) && (!q.get('problem') || Object.keys(w.problems).length) && w.name.includes(q.get('q') ?? '')), q)],
  ['GET', /^workloads\/suggestions$/, () => ({ items: work.workloads.filter((w) => !w.desired && w.up_since && w.driver === 'docker').map((workload) => ({ workload, desired: 'running', why: 'it has run for 26h0m0s' })) })],
  ['GET', /^workloads\/(.+)$/, ({ m }) => work.one(m[1]) ?? fail(404, 'Not found')],
  ['POST', /^workloads$/, ({ body }) => {
    const w = work.declare(body)
    happen('workload', w.id, 'declare', '', '', body.reason, { name: w.name, desired: ' -> ' + w.desired })
    return w
  }],
  ['GET', /^drivers$/, () => ({ items: work.drivers })],
  ['GET', /^approvers$/, () => work.approvers],
  ['GET', /^actions$/, ({ q }) => page(work.actions.filter((a) => (!q.get('state') || q.get('state').split(',').includes(a.state)) && (!q.get('host') || a.host_id === q.get('host'))), q)],
  ['GET', /^actions\/([^/]+)$/, ({ m }) => ({ ...(work.actions.find((a) => a.id === m[1]) ?? fail(404, 'Not found')), transitions: world.transitions.filter((t) => t.object_id === m[1]).toReversed() })],
  ['POST', /^actions$/, ({ body }) => {
    const a = work.propose(body)
    const move = (verb, state, more) => {
      if (a.state === 'withdrawn') return
      const from = a.state
      Object.assign(a, { state, ...more })
      happen('action', a.id, verb, from, state, a.why, { workload: a.workload_id, verb: a.verb })
    }
    move('propose', 'awaiting_approval')
    const pace = Number(process.env.APPROVE_MS) || 15_000
    setTimeout(() => move('approve', 'approved', { approved_by: 'ada', approved_at: iso(Date.now()), why: 'approved by ada', approval: work.approval }), pace)
    setTimeout(() => move('dispatch', 'dispatching', { server: 'srv_1', why: 'sent to the agent', deadline: iso(Date.now() + 120_000) }), pace + 2000)
    setTimeout(() => move('claim', 'running', { why: 'the agent has begun' }), pace + 4000)
    setTimeout(() => move('succeed', 'succeeded', { why: 'the agent did it', receipt: work.receipt }), pace + 6000)
    return a
  }],
  ['POST', /^actions\/([^/]+)\/withdraw$/, ({ m }) => {
    const a = work.actions.find((x) => x.id === m[1])
    Object.assign(a, { state: 'withdrawn', why: 'withdraw by user:ada' })
    happen('action', a.id, 'withdraw', 'awaiting_approval', 'withdrawn', a.why, { workload: a.workload_id, verb: a.verb })
    return a
  }],
  ['GET', /^checks$/, () => ({ items: world.checks })],
  ['POST', /^checks$/, ({ body }) => (body.target === 'bad' ? fail(422, 'The check is not valid', 'One field needs another value.', { target: 'This is no address.' }) : void world.checks.push(body))],
  ['PUT', /^checks\/(.+)$/, ({ m, body }) => void (world.checks = world.checks.map((c) => (c.name === m[1] ? { ...c, ...body } : c)))],
  ['DELETE', /^checks\/(.+)$/, ({ m }) => void (world.checks = world.checks.filter((c) => c.name !== m[1]))],
  ['GET', /^channels$/, () => ({ items: world.channels })],
  ['POST', /^channels\/(.+)\/test$/, ({ m }) => (m[1] === 'phone' ? fail(502, 'The channel refused', 'ntfy answered 403 Forbidden: reserved topic.') : { state: 'delivered' })],
  ['GET', /^deliveries$/, ({ q }) => page(world.deliveries.filter((d) => !q.get('channel') || d.channel === q.get('channel')).filter((d) => !q.get('state') || d.state === q.get('state')), q)],
  ['GET', /^detectors$/, () => ({ items: world.detectors })],
  ['GET', /^collectors$/, () => ({ items: world.collectors() })],
  ['GET', /^audit$/, ({ q }) => page(world.transitions.toReversed().filter((t) => !q.get('object') || t.object === q.get('object')).filter((t) => !q.get('object_id') || t.object_id === q.get('object_id')), q)],
  ['GET', /^users$/, () => ({ items: world.users })],
  ['POST', /^users$/, ({ body }) => void world.users.push({ id: 'usr_' + Date.now(), ...body })],
  ['DELETE', /^users\/(.+)$/, ({ m }) => void (world.users = world.users.filter((u) => u.id !== m[1]))],
  ['GET', /^tokens$/, () => ({ items: world.tokens })],
  ['POST', /^tokens$/, ({ body }) => (world.tokens.push({ id: 'tok_' + Date.now(), created_at: iso(Date.now()), ...body }), { ...body, secret: 'rv_5m3pq8x0c2' })],
  ['DELETE', /^tokens\/(.+)$/, ({ m }) => void (world.tokens = world.tokens.filter((t) => t.id !== m[1]))],
  ['GET', /^config$/, () => ({ listen: '127.0.0.1:7433', data: '/var/lib/reeve', metrics: { retention: '30d', max_size: '8GiB' }, channels: [{ name: 'ops-mail', type: 'email', password: '•••' }] })],
]

function deed(id, what, body) {
  const f = world.findings.find((x) => x.id === id)
  if (!f) return fail(404, 'Not found')
  if (what === 'ack') f.state = 'acknowledged'
  if (what === 'suppress') f.suppression = { ...body, actor: 'user:ada', severity: f.severity }
  if (what === 'unsuppress') delete f.suppression
  if (what === 'resolve') f.claim = `ada at ${iso(Date.now())}: ${body.reason}`
  happen('finding', id, { ack: 'acknowledge', resolve: 'claim' }[what] ?? what, f.state, f.state, body.reason)
}

class Refusal extends Error {}
function fail(status, title, detail = '', fields = {}) {
  throw Object.assign(new Refusal(title), { status, problem: { type: 'about:blank', title, status, detail, fields } })
}

function stream(req, res) {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  res.write('event: hello\ndata: {}\n\n')
  const after = Number(req.headers['last-event-id'])
  if (after) for (const t of world.transitions.filter((x) => x.seq > after)) res.write(`id: ${t.seq}\nevent: transition\ndata: ${JSON.stringify(t)}\n\n`)
  streams.add(res)
  res.on('close', () => streams.delete(res))
}
setInterval(() => {
  const data = JSON.stringify({ at: iso(Date.now()), hosts: world.hostRows() })
  for (const s of streams) s.write(`event: samples\ndata: ${data}\n\n`)
}, 10_000)

function file(path, res) {
  const types = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.html': 'text/html; charset=utf-8' }
  const name = path !== '/' && existsSync(join(dist, path)) ? path : '/index.html'
  res.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': policy })
  res.end(readFileSync(join(dist, name)))
}

createServer(async (req, res) => {
  const url = new URL(req.url, 'http://x')
  if (!url.pathname.startsWith('/api/v1/')) return file(decodeURI(url.pathname), res)
  const path = decodeURIComponent(url.pathname.slice(8))
  if (path === 'stream') return stream(req, res)
  let text = ''
  for await (const chunk of req) text += chunk
  const answer = (code, type, body) => {
    res.writeHead(code, { 'Content-Type': type, 'Cache-Control': 'no-store' })
    res.end(body === undefined ? undefined : JSON.stringify(body))
  }
  try {
    if (!session.user && !path.startsWith('session')) fail(401, 'Not signed in')
    const found = routes.find(([method, re]) => method === req.method && re.test(path))
    if (!found) fail(404, 'Not found', path)
    const body = found[2]({ m: found[1].exec(path), q: url.searchParams, body: text ? JSON.parse(text) : {} })
    answer(body === undefined ? 204 : 200, 'application/json', body)
  } catch (err) {
    if (!(err instanceof Refusal)) console.error(err)
    answer(err.status ?? 500, 'application/problem+json', err.problem ?? { title: 'The fake broke', detail: err.message, status: 500 })
  }
}).listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}`))
