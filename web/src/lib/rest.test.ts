import { describe, expect, test } from 'vitest'
import { resourceFilters, resourcesPath, sorted, typed } from '../pages/resources/filters'
import { bodyOf, formOf } from './checks'
import { ailments, byNeed, quietIncidents } from './levels'
import { groups, seriesName, unitOf } from './metrics'
import { Parser } from './sse'
import { story } from './story'
import { evidenceThresholds } from './thresholds'
import type { Delivery, Finding, Incident, Status, Transition } from './types'
import { yaml } from './yaml'

describe('server-sent events', () => {
  const stream = 'retry: 1000\nid: 7\nevent: hello\ndata: {}\n\n: ping\n\nid: 8\nevent: transition\ndata: {"a":\ndata: 1}\n\n'
  test('every way to cut the stream gives the same events', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const p = new Parser()
      const events = [...p.push(stream.slice(0, cut)), ...p.push(stream.slice(cut))]
      expect(events).toEqual([{ id: '7', event: 'hello', data: '{}' }, { id: '8', event: 'transition', data: '{"a":\n1}' }])
    }
  })
  test('both line ends of others are understood', () => {
    expect(new Parser().push('event: x\r\ndata: 1\r\n\r\n')).toEqual([{ id: '', event: 'x', data: '1' }])
  })
})

describe('metrics', () => {
  test('units come from names', () => {
    expect(unitOf('net_receive_bytes_per_s')).toBe('bytes_per_s')
    expect(unitOf('container_restarts_total')).toBe('count')
    expect(unitOf('check_up')).toBe('bool')
  })
  test('what belongs together shares a chart, the rest has its own', () => {
    const g = groups(['load15', 'load1', 'load5', 'fan_rpm'])
    expect(g.map((x) => x.metrics)).toEqual([['load1', 'load5', 'load15'], ['fan_rpm']])
    expect(g[1].title).toBe('Fan')
  })
  test('series are told apart by their labels', () => {
    expect(seriesName('cpu_mode_ratio', { mode: 'user' }, true)).toBe('user')
    expect(seriesName('net_x_per_s', undefined, false)).toBe('x')
  })
})

describe('filters of resources', () => {
  test('typed text splits into words and a label', () => expect(typed('web project=shop  blue')).toEqual({ q: 'web blue', label: 'project=shop' }))
  test('the address holds the filters', () => {
    const f = resourceFilters(new URLSearchParams('kind=disk&q=a%26b'))
    expect(resourcesPath(f)).toBe('resources?q=a%26b&kind=disk&sort=name')
  })
  test('parts of Reeve are shown when somebody looks for them', () => {
    const path = (text: string) => resourcesPath(resourceFilters(new URLSearchParams(text)))
    expect(path('')).toContain('kind=disk')
    expect(path('')).not.toContain('component')
    expect(path('kind=everything')).toBe('resources?sort=name')
    expect(path('q=collector')).toBe('resources?q=collector&sort=name')
  })
  test('a second click turns the order round', () => {
    expect(sorted('kind', 'kind')).toBe('-kind')
    expect(sorted('-kind', 'kind')).toBe('kind')
  })
})

const finding = (more: Partial<Finding>) => ({ id: 'f', state: 'open', severity: 'critical', incident_id: 'i', ...more }) as Finding

describe('incidents', () => {
  const i = (state: string, severity: string, opened_at: string) => ({ id: state + severity, state, severity, opened_at }) as Incident
  test('what needs a person comes first', () => {
    const list = [i('mitigated', 'critical', '3'), i('open', 'warning', '2'), i('acknowledged', 'critical', '9'), i('open', 'critical', '1')]
    expect(list.sort(byNeed).map((x) => x.id)).toEqual(['opencritical', 'openwarning', 'acknowledgedcritical', 'mitigatedcritical'])
  })
  test('one that is suppressed as a whole is quiet', () => {
    const suppression = { kind: 'snooze', reason: '', actor: '', severity: 'warning' as const }
    expect([...quietIncidents([finding({ suppression }), finding({ incident_id: 'j', suppression }), finding({ incident_id: 'j' })])]).toEqual(['i'])
  })
})

describe('what of Reeve does not work', () => {
  test('the same gap on many hosts is said once', () => {
    const gap = { what: 'SMART', why: 'smartctl is not installed', remedy: 'apt install smartmontools' }
    const c = (host: string) => ({ host, name: 'smart', state: 'gap', every_ms: 1, gaps: [gap] })
    const list = ailments({ collectors: [c('a'), c('b'), c('c'), c('d')], stores: [{ name: 'x', state: 'ok' }], channels: [{ name: 'n', state: 'unproven', type: '', queued: 0, dead: 0 }] } as unknown as Status)
    expect(list).toHaveLength(1)
    expect(list[0].why).toBe('smartctl is not installed (a, b and 2 more)')
  })
})

describe('the story of an incident', () => {
  const t = (seq: number, at: string, more: Partial<Transition>) => ({ seq, at, actor: 'watch', verb: 'open', object: 'finding', object_id: 'f', ...more }) as Transition
  test('is told once, in order, with the names of its findings', () => {
    const d = { id: 'd', channel: 'mail', state: 'delivered', created_at: '2026-01-01T00:00:02Z', message: { event: 'opened' } } as Delivery
    const told = story([t(3, '2026-01-01T00:00:03Z', { verb: 'acknowledge', actor: 'user:ada', reason: 'on it' }), t(2, '2026-01-01T00:00:02Z', { object: 'delivery', object_id: 'd' }), t(1, '2026-01-01T00:00:01Z', {})], [d], [finding({ condition: 'fs_full' })])
    expect(told.map((h) => h.text)).toEqual(['File system full: opened', 'Told mail (opened)', 'File system full: acknowledged'])
    expect(told[2]).toMatchObject({ by: 'ada', note: 'on it' })
  })
})

describe('thresholds of evidence', () => {
  const detector = { name: 'x', title: '', doc: '', thresholds: [{ name: 'warning', default: 85, unit: 'percent', doc: '' }, { name: 'critical', default: 95, value: 97, unit: 'percent', doc: '' }, { name: 'margin', default: 5, unit: 'percent', doc: '' }] }
  test('only those in the unit of the chart, as configured', () => {
    expect(evidenceThresholds(finding({}), detector, 'ratio').map((x) => [x.value, x.severity])).toEqual([[0.85, 'warning'], [0.97, 'critical']])
    expect(evidenceThresholds(finding({}), detector, 'bytes')).toEqual([])
  })
})

describe('checks', () => {
  test('what the form does not show stays', () => {
    const before = { name: 'web', type: 'http', target: 'https://a', every_ms: 60000, headers: { A: '•' }, method: 'HEAD', status: [200, 204] }
    const body = bodyOf({ ...formOf(before), every: '30' }, before)
    expect(body).toMatchObject({ every_ms: 30000, headers: { A: '•' }, method: 'HEAD', status: [200, 204] })
  })
  test('a heartbeat has no target', () => expect(bodyOf({ ...formOf(null), type: 'heartbeat', target: 'x', grace: '60' }, null)).toMatchObject({ target: undefined, grace_ms: 60000 }))
})

describe('yaml', () => {
  test('nests lists and maps, and quotes what would be read otherwise', () => {
    expect(yaml({ a: { b: 'yes', c: [] }, list: [{ x: 1, y: 'z' }, 'w: v'] })).toBe('a:\n  b: "yes"\n  c: []\nlist:\n  - x: 1\n    y: z\n  - "w: v"')
  })
})
