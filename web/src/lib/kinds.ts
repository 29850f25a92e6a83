// The kinds of resources in words, in the order people look for them. Pure.
const many: Record<string, string> = {
  host: 'Hosts', workload: 'Workloads', container: 'Containers', service: 'Services', project: 'Projects', unit: 'Units', filesystem: 'File systems',
  disk: 'Disks', array: 'Arrays', pool: 'Pools', interface: 'Interfaces', gpu: 'GPUs', certificate: 'Certificates', check: 'Checks', component: 'Parts of Reeve',
}
const one: Record<string, string> = { filesystem: 'file system', gpu: 'GPU', component: 'part of Reeve' }

export const kinds = Object.keys(many)
export const manyOf = (kind: string) => many[kind] ?? kind
export const oneOf = (kind: string) => one[kind] ?? kind

/** stateOf is the one attribute that says most about a resource, for a list. */
export function stateOf(kind: string, observed: Record<string, string> | undefined): { text: string; tone: '' | 'ok' | 'warning' | 'critical' } {
  const o = observed ?? {}
  switch (kind) {
    case 'container': {
      const state = o.health && o.health !== 'none' ? o.health : o.state
      const tone = o.health === 'unhealthy' || o.state === 'dead' || o.state === 'restarting' ? 'critical' : o.state === 'running' ? 'ok' : ''
      return { text: o.state && state !== o.state && o.state !== 'running' ? `${o.state}, ${state}` : (state ?? ''), tone }
    }
    case 'workload':
      return { text: o.desired && o.desired !== o.observed ? `${o.observed}, should be ${o.desired}` : (o.observed ?? ''), tone: !o.desired ? '' : o.desired === o.observed ? 'ok' : 'warning' }
    case 'service':
      return { text: o.desired ? `${o.running ?? '?'} of ${o.desired}` : '', tone: o.running && Number(o.running) < Number(o.desired) ? 'warning' : 'ok' }
    case 'unit':
      return { text: [o.active_state, o.sub_state].filter(Boolean).join(', '), tone: o.active_state === 'failed' ? 'critical' : o.active_state === 'active' ? 'ok' : '' }
    case 'filesystem':
      return { text: [o.fstype, o.read_only === 'true' ? 'read-only' : ''].filter(Boolean).join(', '), tone: o.hung === 'true' ? 'critical' : '' }
    case 'disk':
      return { text: o.smart_passed === 'false' ? 'SMART fails' : (o.model ?? ''), tone: o.smart_passed === 'false' ? 'critical' : '' }
    case 'interface':
      return { text: o.carrier === 'true' ? 'up' : o.carrier === 'false' ? 'no carrier' : (o.operstate ?? ''), tone: o.carrier === 'true' ? 'ok' : '' }
    case 'check':
      return { text: o.up === 'true' ? 'up' : o.up === 'false' ? 'down' : '', tone: o.up === 'true' ? 'ok' : o.up === 'false' ? 'critical' : '' }
    case 'host':
      return { text: o.os ?? '', tone: '' }
    case 'certificate':
      return { text: o.not_after ? `until ${o.not_after.slice(0, 10)}` : '', tone: '' }
    case 'pool':
      return { text: o.health ?? '', tone: o.health === 'ONLINE' ? 'ok' : o.health ? 'critical' : '' }
  }
  if (kind === 'component' && o.state === 'ok') return { text: 'works', tone: 'ok' }
  return { text: o.state ?? '', tone: o.state === 'failing' || o.state === 'degraded' ? 'warning' : '' }
}
