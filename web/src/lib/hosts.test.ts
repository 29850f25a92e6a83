import { describe, expect, test } from 'vitest'
import { certificateOf, clocksOf, conflictOf, connectedTo, exact, factsOf, hostStory, lame, leftOf, reasonOf, serversOf, skewOf, toneOf } from './hosts'
import { byTrouble, reachable } from './levels'
import type { FleetHost, HostRow, Transition } from './types'

const now = Date.parse('2026-05-01T12:00:00Z')
const before = (s: number) => new Date(now - s * 1000).toISOString()
const agent = (more: Partial<FleetHost> = {}): FleetHost => ({
  id: 'host_a', name: 'atlas', state: 'online', since: before(3600), local: false, server: 'srv_1', address: '10.0.0.7', agent_version: 'v1.2.0', read_only: false,
  heartbeat_at: before(4), control_proof_at: before(9), report_at: before(6), certificate_until: before(-5 * 86400), clock_skew_ms: 0, spooled_reports: 0,
  heartbeat_ms: 0, grace_ms: 0, bytes_per_s: 0, created_at: before(7200), created_by: 'user:ada', ...more,
})
const row = (reachability: string, more: Partial<HostRow> = {}): HostRow => ({ id: reachability, name: reachability, resource_id: 'res_1', observed_at: before(4), reachability, findings: 0, ...more })

describe('the order of hosts', () => {
  test('unreachable and held stand first, then degraded, then those with findings', () => {
    const list = ['online', 'maintenance', 'degraded', 'held', 'unreachable'].map((s) => row(s))
    list.push(row('online', { id: 'ill', findings: 2 }))
    expect(list.sort(byTrouble).map((h) => h.id)).toEqual(['unreachable', 'held', 'degraded', 'ill', 'maintenance', 'online'])
  })
  test('what is known of a held host is not current', () => expect(['online', 'degraded', 'maintenance', 'held', 'pending', 'unreachable'].map((s) => reachable(row(s)))).toEqual([true, true, true, false, false, false]))
  test('tones follow the state, then the findings', () => {
    expect(['online', 'degraded', 'held', 'unreachable', 'maintenance', 'pending', 'unknown'].map((s) => toneOf(row(s)))).toEqual(['ok', 'warning', 'warning', 'critical', 'quiet', 'quiet', 'critical'])
    expect(toneOf(row('online', { findings: 1 }))).toBe('warning')
  })
})

describe('the clocks of a host', () => {
  const levels = (h: FleetHost) => clocksOf(h, now).map((c) => c.level)
  test('none is late when all came', () => expect(levels(agent())).toEqual(['', '', '']))
  test('what is shown may lag behind what the server judges', () => expect(levels(agent({ control_proof_at: before(55), report_at: before(59) }))).toEqual(['', '', '']))
  test('each is late by itself', () => {
    expect(levels(agent({ control_proof_at: before(90) }))).toEqual(['', 'warning', ''])
    expect(levels(agent({ heartbeat_at: before(120), report_at: before(120) }))).toEqual(['critical', '', 'warning'])
  })
  test('a slow link has its own limits', () => expect(levels(agent({ heartbeat_ms: 120_000, heartbeat_at: before(200), report_at: before(300) }))).toEqual(['', '', '']))
  test('silence that is expected is not late', () => expect(levels(agent({ state: 'maintenance', heartbeat_at: before(9000) }))).toEqual(['', '', '']))
  test('an agent inside the server has no command direction', () => expect(clocksOf(agent({ local: true }), now).map((c) => c.name)).toEqual(['Heartbeat', 'Complete report']))
  test('a degraded host says which part of it is', () => {
    const degraded = (more: Partial<FleetHost>) => lame(row('degraded', { fleet: agent({ state: 'degraded', ...more }) }), now)
    expect(degraded({ control_proof_at: before(200) })).toBe('answers no commands')
    expect(degraded({ control_proof_at: before(200), report_at: before(200) })).toBe('answers no commands, sends no reports')
    expect(lame(row('online', { fleet: agent({ report_at: before(900) }) }), now)).toBe('')
  })
})

describe('what is said of an agent', () => {
  const texts = (h: HostRow, servers = 1) => factsOf(h, now, servers).map((f) => f.text)
  test('as usual', () => expect(texts(row('online', { fleet: agent() }))).toEqual(['agent v1.2.0', 'connected from 10.0.0.7', 'clock right', 'certificate ends in 5 d']))
  test('what is not as usual stands out', () => {
    const list = factsOf(row('online', { findings: 1, fleet: agent({ clock_skew_ms: -45_000, spooled_reports: 12, server: '' }) }), now)
    expect(list.filter((f) => f.level).map((f) => `${f.text} ${f.level}`)).toEqual(['1 finding warning', '12 reports wait on its disk warning', 'clock 45 s behind critical'])
    expect(list.map((f) => f.text)).toContain('not connected, last from 10.0.0.7')
  })
  test('a server is named only among several', () => {
    expect(connectedTo(agent(), 2)).toBe('connected to srv_1 from 10.0.0.7')
    expect(serversOf([row('online', { fleet: agent() }), row('online', { fleet: agent({ server: 'srv_2' }) }), row('online', { fleet: agent({ server: '' }) })])).toBe(2)
  })
  test('another machine with its key is told of for an hour', () => {
    expect(conflictOf(agent({ conflict: 'a copy', conflict_at: before(3000) }), now)).toBe('a copy')
    expect(conflictOf(agent({ conflict: 'a copy', conflict_at: before(4000) }), now)).toBe('')
  })
  test('times in reasons are those of the reader', () => expect(reasonOf(agent({ reason: 'maintenance until 2026-05-03T10:00:00Z: new disk' }), now)).toMatch(/^maintenance until [34] May, \d\d:\d0: new disk$/))
  test('spans that people set are exact', () => expect([15_000, 90_000, 120_000, 3600e3].map(exact)).toEqual(['15 s', '90 s', '2 min', '1 h']))
  test('the clock', () => expect([50, 2500, -61_000].map((ms) => skewOf(ms))).toEqual([{ text: 'right', level: '' }, { text: '2.5 s ahead', level: 'warning' }, { text: '1 min behind', level: 'critical' }]))
  test('the certificate', () => {
    expect(certificateOf(before(-7200), now)).toEqual({ text: 'ends in 2 h', level: 'warning' })
    expect(certificateOf(before(1), now).level).toBe('critical')
    expect(certificateOf(undefined, now).text).toBe('none')
  })
})

test('an invitation counts down to the second', () => expect([before(-3599), before(-59), before(0), ''].map((t) => leftOf(t, now))).toEqual(['59 min 59 s', '59 s', 'over', 'over']))

test('the story of a host leaves its name out', () => {
  const t = (seq: number, verb: string, actor: string) => ({ seq, at: before(0), actor, verb, object: 'host', object_id: 'host_a', facts: { name: 'atlas' } }) as Transition
  expect(hostStory([t(2, 'silence', 'fleet'), t(1, 'enrol', 'user:ada')]).map((h) => [h.text, h.by, h.tone])).toEqual([['Unreachable', undefined, 'critical'], ['Joined', 'ada', 'ok']])
})
