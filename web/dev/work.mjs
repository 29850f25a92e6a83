// The workloads and actions of the pretend server.
const minute = 60_000
const iso = (ms) => new Date(ms).toISOString()
const hash = (n) => Array.from({ length: 64 }, (_, i) => ((n * 7 + i * i * 5 + i) % 16).toString(16)).join('')

export function workOf(world) {
  const now = Date.now()
  const hosts = world.fleet.filter((f) => f.state !== 'removed' && f.resource_id)
  const named = [['caddy', 'running'], ['postgres', 'running'], ['redis', 'running'], ['photos-web', 'running'], ['photos-worker', 'paused'], ['backup', 'stopped'], ['a-container-with-a-name-that-is-longer-than-any-line-of-a-phone', 'running']]
  const workloads = hosts.flatMap((h, i) => named.slice(0, 3 + (i % 5)).map(([name, observed], k) => ({
    id: `wl_${i}_${k}`, host_id: h.id, host: h.name, driver: i % 4 === 3 ? 'podman' : 'docker', name, desired: k % 3 === 2 ? '' : observed, desired_by: 'user:ada', source: k % 2 ? 'person' : 'config', observed,
    raw_label: observed === 'stopped' ? 'exited' : observed, reachability: ['online', 'degraded', 'maintenance'].includes(h.state) ? 'online' : 'unknown', tombstone: false, problems: {}, reason: `${name} is ${observed}, as it should be`,
    up_since: observed === 'running' ? iso(now - (30 + k) * 60 * minute) : undefined, changed_at: iso(now - (3 + k * 7 + i) * minute), generation: 1, version: 2, resource_id: 'res_h0',
  })))
  const at = (i) => workloads[i]
  Object.assign(at(0), { observed: 'stopped', raw_label: 'exited', problems: { stopped_unexpectedly: 'docker caddy is stopped and should be running' }, reason: 'docker caddy is stopped and should be running' })
  Object.assign(at(3), { problems: { drift: 'docker caddy is running and should be stopped', operation_overdue: 'stop of action act_9 should have ended at 16:02:11' }, desired: 'stopped' })
  Object.assign(at(1), { operation: 'restart', action_id: 'act_run', deadline: iso(now + 95_000), reason: 'restart was ordered by user:ada' })
  Object.assign(at(8), { desired: 'absent', tombstone: true, problems: { drift: 'docker caddy is there and should not be' } })
  workloads.push({ ...at(2), id: 'wl_unit', driver: 'systemd', name: 'ssh.service', desired: 'running', desired_by: 'user:ada', source: 'person', raw_label: 'active', problems: {}, reason: 'systemd ssh.service is running, as it should be' })
  workloads.sort((a, b) => a.name.localeCompare(b.name))

  const approval = { plan_hash: hash(3), approver: 'key_5b1c0d7e9a2f4c6688b0d1e2f3a4b5c6', decision: 'approve', reason: 'as agreed', signed_at: iso(now - 4 * minute), expires_at: iso(now + 30 * minute) }
  const receipt = { state: 'succeeded', started_at: iso(now - 3 * minute), ended_at: iso(now - 3 * minute + 1840), output: '', before: { observed: 'stopped', raw_label: 'exited', sequence: '7' }, after: { observed: 'running', raw_label: 'running', sequence: '8' } }
  const actions = []
  const make = (w, op, state, more = {}) => {
    const id = more.id ?? 'act_' + (actions.length + 1)
    const a = { id, state, verb: 'workload.' + op, host_id: w.host_id, workload_id: w.id, plan_hash: hash(actions.length + 3), reason: more.reason, proposed_by: 'user:ada', proposed_at: iso(now - (actions.length * 50 + 5) * minute), expires_at: iso(Date.now() + 25 * minute), version: 1, ...more }
    a.plan = { id, verb: a.verb, adapter: w.driver, target_host: w.host_id, target: w.name, generation: 1, preconditions: { observed: w.observed }, expires_at: a.expires_at, idempotency_key: id, reason: more.reason ?? '', proposer: 'user:ada' }
    return a
  }
  const done = { approved_by: 'ada', approved_at: iso(now - 4 * minute), approval, server: 'srv_1' }
  for (const [w, op, state, more] of [
    [workloads.find((x) => x.problems.stopped_unexpectedly), 'start', 'awaiting_approval', { id: 'act_wait', reason: 'It was stopped by mistake' }],
    [at(1), 'restart', 'running', { ...done, id: 'act_run', deadline: iso(now + 95_000), why: 'the agent has begun' }],
    [at(1), 'start', 'succeeded', { ...done, id: 'act_done', why: 'the agent did it', receipt, reason: 'After the move' }],
    [at(2), 'snapshot', 'failed', { ...done, id: 'act_fail', why: 'no space left on device', receipt: { ...receipt, state: 'failed', error: 'no space left on device', output: 'committing the file system of redis\nwrite /var/lib/docker/tmp/export-83bd: no space left on device', after: receipt.before } }],
    [at(4), 'stop', 'unknown', { ...done, why: 'no receipt came by its deadline; the agent is asked for it' }],
    [at(5), 'pause', 'superseded', { approved_by: 'ada', approval, why: 'photos-web was running when it was planned and is stopped now' }],
    [at(5), 'stop', 'withdrawn', { why: 'withdraw by user:ada' }],
    [at(2), 'stop', 'expired', { why: 'nothing came of it in time' }],
    [at(2), 'stop', 'rejected', { why: 'not on a Friday' }],
  ]) actions.push(make(w, op, state, more))
  return {
    workloads, actions, approval, receipt,
    one: (id) => {
      const w = workloads.find((x) => x.id === id || `${x.host}/${x.name}` === id)
      return w && { ...w, actions: actions.filter((a) => a.workload_id === w.id), transitions: [{ seq: 902, at: iso(now - 3 * minute), actor: 'reconcile', verb: 'observe', object: 'workload', object_id: w.id, from: 'running', to: w.observed, reason: w.reason, facts: { name: w.name, problems: ' -> ' + Object.keys(w.problems).join(' ') } }, { seq: 901, at: iso(now - 300 * minute), actor: 'user:ada', verb: 'declare', object: 'workload', object_id: w.id, reason: 'Customers need it', facts: { name: w.name, desired: ' -> running' } }] }
    },
    declare: (b) => {
      const w = workloads.find((x) => (x.host_id === b.host || x.host === b.host) && x.name === b.name) ?? workloads[workloads.push({ ...at(2), id: 'wl_' + Date.now(), name: b.name, driver: b.driver, host_id: b.host, host: hosts.find((h) => h.id === b.host)?.name, observed: 'unknown', up_since: undefined }) - 1]
      return Object.assign(w, { desired: b.desired === 'none' ? '' : b.desired, tombstone: b.desired === 'absent', source: 'person', reason: 'declared; the next list of the agent is judged by it', problems: {}, changed_at: iso(Date.now()) })
    },
    propose: (b) => {
      const a = make(workloads.find((x) => x.id === b.workload), b.operation, 'awaiting_approval', { id: 'act_' + Date.now(), reason: b.reason, proposed_at: iso(Date.now()) })
      actions.unshift(a)
      return a
    },
    drivers: [...['docker', 'podman'].map((name) => ({ name, doc: '', operations: ['start', 'stop', 'pause', 'resume', 'restart', 'snapshot'], permissions: '' })), { name: 'systemd', doc: '', operations: ['start', 'stop', 'restart'], permissions: 'root' }],
    approvers: { root: hash(1), sets: [{ version: 2, keys: [{ id: 'key_5b1c0d7e9a2f4c6688b0d1e2f3a4b5c6', name: 'admin@helm', added_at: iso(now - 40 * 1440 * minute) }, { id: 'key_91aa0d7e9a2f4c6688b0d1e2f3a4b5d0', name: 'ada', added_at: iso(now - 3 * 1440 * minute) }] }] },
    servers: [{ id: 'srv_2', name: 'helm-b', version: 'v1.0.0', address: 'reeve://10.0.0.3:7434', since: iso(now - 9 * minute), seen_at: iso(now - 4000), on_duty: false }, { id: 'srv_06h1h1xrk0endw8wh0045t8', name: 'helm', version: 'v1.0.0', address: 'reeve://10.0.0.2:7434', since: iso(now - 900 * minute), seen_at: iso(now - 2000), on_duty: true }],
  }
}
