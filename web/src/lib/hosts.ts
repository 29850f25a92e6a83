// What the states and the clocks of hosts mean to people. Pure.
import { clock, duration, millis, plural, timeOf } from './format'
import { level, type Level } from './levels'
import { tell, type Happening } from './story'
import type { FleetHost, HostRow, Server, Transition } from './types'

export type HostTone = 'ok' | 'warning' | 'critical' | 'quiet'

/** toneOf says how bad it is about a host. */
export function toneOf(h: HostRow): HostTone {
  switch (h.reachability) {
    case 'online':
      return h.findings ? 'warning' : 'ok'
    case 'degraded':
    case 'held':
      return 'warning'
    case 'pending':
    case 'maintenance':
      return 'quiet'
  }
  return 'critical'
}

/** beatMS and graceMS are those of a host, with the defaults of the server. */
export const beatMS = (h: FleetHost) => h.heartbeat_ms || 15_000
export const graceMS = (h: FleetHost) => h.grace_ms || Math.max(90_000, 6 * beatMS(h))

/** exact reads a span that people set: 90 s is not "1 min". */
export const exact = (ms: number) => (ms % 60_000 && ms < 600_000 ? `${ms / 1000} s` : millis(ms))

/** reasonOf reads why a host is in its state, with the times in it as people write them. */
export const reasonOf = (h: FleetHost, now: number) => (h.reason ?? '').replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (at) => clock(at, now))

const conflictKeptMS = 3600e3 // as long as the server tells of it

/** conflictOf is what came with a host's key lately and was not it. */
export const conflictOf = (h: FleetHost, now: number) => (h.conflict && now - timeOf(h.conflict_at) < conflictKeptMS ? h.conflict : '')

export interface HostClock {
  name: string
  short: string
  doc: string
  at: string | undefined
  level: Level
}

// What is shown of the clocks is up to so much behind what the server judges.
const lagMS = 15_000

/** clocksOf answers the clocks behind a host's state. Those of a host that is
 * not expected to be heard of are never late. */
export function clocksOf(h: FleetHost, now: number): HostClock[] {
  const beat = beatMS(h)
  const expected = h.state === 'online' || h.state === 'degraded' || h.state === 'held'
  const late = (at: string | undefined, warning: number, critical: number) =>
    h.state === 'unreachable' ? 'critical' : expected ? level(now - timeOf(at) - lagMS, warning, critical) : ''
  const clocks: HostClock[] = [
    { name: 'Heartbeat', short: 'beat', doc: `Comes every ${exact(beat)}; after ${exact(graceMS(h))} of silence the host is unreachable.`, at: h.heartbeat_at, level: late(h.heartbeat_at, Math.max(30_000, 2 * beat), graceMS(h)) },
    { name: 'Control proof', short: 'control', doc: 'Its last answer on the direction in which it is commanded.', at: h.control_proof_at, level: late(h.control_proof_at, 3 * beat, Infinity) },
    { name: 'Complete report', short: 'report', doc: 'The last report of all that it watches.', at: h.report_at, level: late(h.report_at, 3 * beat, Infinity) },
  ]
  return h.local ? clocks.filter((c) => c.short !== 'control') : clocks
}

/** lame names what a degraded host does not do. */
export function lame(h: HostRow, now: number): string {
  if (h.reachability !== 'degraded' || !h.fleet) return ''
  const late = clocksOf(h.fleet, now).filter((c) => c.short !== 'beat' && c.level)
  return late.map((c) => (c.short === 'control' ? 'answers no commands' : 'sends no reports')).join(', ')
}

/** skewOf reads how far a host's clock is off. */
export function skewOf(ms: number): { text: string; level: Level } {
  const off = Math.abs(ms)
  const text = off < 100 ? 'right' : `${duration(off / 1000)} ${ms > 0 ? 'ahead' : 'behind'}`
  return { text, level: level(off, 2000, 30_000) }
}

/** certificateOf reads how long a certificate still counts. */
export function certificateOf(until: string | undefined, now: number): { text: string; level: Level } {
  const left = timeOf(until) - now
  if (Number.isNaN(left)) return { text: 'none', level: '' }
  if (left <= 0) return { text: 'ended', level: 'critical' }
  return { text: `ends in ${millis(left > 3600e3 ? left - (left % 60_000) : left - (left % 1000))}`, level: left < 86400e3 ? 'warning' : '' }
}

/** connectedTo says where an agent is connected; a server is named only where there are several. */
export function connectedTo(h: FleetHost, servers: number): string {
  if (h.local) return 'inside the server'
  const to = h.server ? (servers > 1 ? `connected to ${h.server}` : 'connected') : 'not connected'
  return h.address ? `${to}${h.server ? '' : ', last'} from ${h.address}` : to
}

export interface HostFact {
  key: string
  text: string
  level: Level
}

/** factsOf is the line below a host in a list: what is not as usual stands out. */
export function factsOf(h: HostRow, now: number, servers = 1): HostFact[] {
  const facts: HostFact[] = []
  const add = (key: string, text: string, l: Level = '') => facts.push({ key, text, level: l })
  if (h.findings) add('findings', plural(h.findings, 'finding'), 'warning')
  const f = h.fleet
  if (!f) return facts
  if (f.agent_version) add('agent', `agent ${f.agent_version}${f.read_only ? ', read-only' : ''}`)
  add('connected', connectedTo(f, servers))
  if (f.spooled_reports > 4) add('waiting', `${plural(f.spooled_reports, 'report waits', 'reports wait')} on its disk`, 'warning')
  if (f.local) return facts
  const skew = skewOf(f.clock_skew_ms)
  add('skew', `clock ${skew.text}`, skew.level)
  const certificate = certificateOf(f.certificate_until, now)
  add('certificate', `${certificate.text === 'none' ? 'no certificate' : 'certificate ' + certificate.text}`, certificate.level)
  return facts
}

/** nameServers puts the names of servers where hosts have their IDs. */
export function nameServers(hosts: HostRow[], servers: Server[] | null | undefined): HostRow[] {
  const names = new Map((servers ?? []).map((s) => [s.id, s.name]))
  return hosts.map((h) => (h.fleet?.server && names.has(h.fleet.server) ? { ...h, fleet: { ...h.fleet, server: names.get(h.fleet.server) } } : h))
}

/** serversOf counts the servers that agents are connected to. */
export const serversOf = (hosts: HostRow[]) => new Set(hosts.map((h) => h.fleet?.server).filter(Boolean)).size

/** leftOf reads the time an invitation still counts, to the second. */
export function leftOf(expires: string, now: number): string {
  const s = Math.floor((timeOf(expires) - now) / 1000)
  if (!(s > 0)) return 'over'
  return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`
}

export const spans: [string, string][] = [['1', '1 hour'], ['4', '4 hours'], ['24', '1 day'], ['at', 'A date…']]

/** hostStory is the time-line of one host, the newest first; its name goes without saying. */
export const hostStory = (transitions: Transition[]): Happening[] => transitions.map((t) => tell(t, null))
