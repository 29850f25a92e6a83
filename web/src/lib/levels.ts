// When a reading on the page turns amber or red. These only colour; what is
// wrong is decided by detectors. Pure.
import type { Finding, HostRow, Incident, Status } from './types'

export type Level = '' | 'warning' | 'critical'

export function level(v: number | null | undefined, warning: number, critical: number): Level {
  if (v === null || v === undefined) return ''
  return v >= critical ? 'critical' : v >= warning ? 'warning' : ''
}

export const cpuLevel = (v: number | null | undefined) => level(v, 0.8, 0.95)
export const memoryLevel = (v: number | null | undefined) => level(v, 0.85, 0.95)
export const diskLevel = (v: number | null | undefined) => level(v, 0.85, 0.95)

/** reachable reports whether what is known of a host is current. */
export const reachable = (h: HostRow) => ['online', 'degraded', 'maintenance'].includes(h.reachability)

const rank = (s: string) => (s === 'critical' ? 0 : 1)

/** byNeed puts first what needs a person: open before acknowledged, critical before warning, new before old. */
export function byNeed(a: Incident, b: Incident): number {
  const states = ['open', 'acknowledged', 'mitigated', 'closed']
  return states.indexOf(a.state) - states.indexOf(b.state) || rank(a.severity) - rank(b.severity) || (a.opened_at < b.opened_at ? 1 : -1)
}

const standing: Record<string, number> = { degraded: 2, pending: 2, online: 3, maintenance: 3, held: 1 }

/** byTrouble puts hosts first that are not heard of, then those that have something wrong. */
export function byTrouble(a: HostRow, b: HostRow): number {
  return (standing[a.reachability] ?? 0) - (standing[b.reachability] ?? 0) || b.findings - a.findings || a.name.localeCompare(b.name, 'en', { numeric: true })
}

export interface Ailment {
  key: string
  what: string
  why: string
  remedy?: string
  tone: 'warning' | 'critical'
  href: string
}

const fine = new Set(['ok', 'idle', 'ready', 'running', 'absent', 'disabled', 'starting', 'unused', 'unproven', ''])

/** ailments is what of Reeve itself does not work; the same gap on many hosts is one. */
export function ailments(s: Status): Ailment[] {
  const list: Ailment[] = []
  for (const l of s.loops ?? []) {
    if (l.failures > 0) list.push({ key: 'l' + l.name, what: `The ${l.name} loop fails`, why: `${l.failures} times in a row: ${l.error ?? 'no reason given'}`, tone: l.failures >= 3 ? 'critical' : 'warning', href: 'system' })
  }
  for (const st of s.stores ?? []) {
    if (!fine.has(st.state)) list.push({ key: 's' + st.name, what: `The ${st.name} store is ${st.state}`, why: st.detail ?? '', tone: 'critical', href: 'system' })
  }
  for (const c of s.channels ?? []) {
    if (!fine.has(c.state) || c.dead > 0) list.push({ key: 'c' + c.name, what: `Channel ${c.name} does not get through`, why: c.error ?? (c.dead ? `${c.dead} given up, ${c.queued} waiting` : c.state), tone: 'critical', href: 'channels' })
  }
  const gaps = new Map<string, Ailment & { hosts: string[] }>()
  for (const c of s.collectors ?? []) {
    if (c.state === 'failing' || c.state === 'stuck') list.push({ key: `f${c.host}/${c.name}`, what: `Collector ${c.name} on ${c.host} is ${c.state}`, why: c.error ?? '', tone: 'warning', href: 'system' })
    for (const g of c.gaps ?? []) {
      const known = gaps.get(g.why + g.remedy)
      if (known) known.hosts.push(c.host)
      else gaps.set(g.why + g.remedy, { key: `g${c.name}${g.why}`, what: `Not seen: ${g.what}`, why: g.why, remedy: g.remedy, tone: 'warning', href: 'system', hosts: [c.host] })
    }
  }
  for (const { hosts, ...g } of gaps.values()) {
    const many = [...new Set(hosts)]
    list.push({ ...g, why: `${g.why} (${many.length > 3 ? `${many.slice(0, 2).join(', ')} and ${many.length - 2} more` : many.join(', ')})` })
  }
  return list.sort((a, b) => rank(a.tone) - rank(b.tone))
}

/** quietIncidents are those whose active findings are all suppressed. */
export function quietIncidents(findings: Finding[]): Set<string> {
  const quiet = new Set<string>()
  const loud = new Set<string>()
  for (const f of findings) if (f.incident_id) (f.suppression ? quiet : loud).add(f.incident_id)
  return new Set([...quiet].filter((id) => !loud.has(id)))
}
