import { describe, expect, test } from 'vitest'
import { tell } from './story'
import type { Action, Transition, Workload } from './types'
import { approveLine, beforeAfter, choices, hindrance, isOpen, isWithdrawable, leftFor, markOfWorkload, problemsOf, ranFor, stateText, stepsOf, waitsFor, whatOf, whyOf } from './workloads'
import { workloadFilters, workloadsPath } from '../pages/workloads/filters'

const now = Date.parse('2026-05-01T12:00:00Z')
const at = (s: number) => new Date(now + s * 1000).toISOString()
const workload = (more: Partial<Workload> = {}): Workload => ({
  id: 'wl_1', host_id: 'host_a', host: 'atlas', driver: 'docker', name: 'web', desired: 'running', observed: 'running', reachability: 'online', tombstone: false,
  problems: {}, reason: 'web is running, as it should be', changed_at: at(-60), generation: 1, version: 3, ...more,
})
const action = (more: Partial<Action> = {}): Action => ({
  id: 'act_1', state: 'awaiting_approval', verb: 'workload.start', host_id: 'host_a', workload_id: 'wl_1', plan_hash: 'ab', proposed_by: 'user:ada', proposed_at: at(-5), expires_at: at(1795), version: 1,
  plan: { id: 'act_1', verb: 'workload.start', adapter: 'docker', target_host: 'host_a', target: 'web', generation: 1, expires_at: at(1795), idempotency_key: 'act_1', reason: '', proposer: 'user:ada' }, ...more,
})

describe('a workload', () => {
  test('wears a mark by what is known of it now', () => {
    expect([workload(), workload({ desired: '' }), workload({ problems: { drift: 'x' } }), workload({ reachability: 'unknown' }), workload({ observed: 'unknown' })].map(markOfWorkload)).toEqual(['ok', '', 'warning', 'unknown', 'unknown'])
  })
  test('lists its problems by name', () => expect(problemsOf(workload({ problems: { lost: 'b', drift: 'a' } }))).toEqual([['drift', 'a'], ['lost', 'b']]))
  test('runs for hours, told without minutes', () => {
    expect(ranFor(workload({ up_since: at(-26.5 * 3600) }), now)).toBe('1 d 2 h')
    expect(ranFor(workload({ up_since: at(-90) }), now)).toBe('1 min')
    expect(ranFor(workload(), now)).toBe('')
  })
  test('an operation has until its deadline', () => {
    expect(leftFor(at(65), now)).toBe('1 min 05 s left')
    expect(leftFor(at(-1), now)).toBe('should have ended')
    expect(leftFor(undefined, now)).toBe('')
  })
})

describe('an operation', () => {
  const sensible = (w: Workload) => ['start', 'stop', 'pause', 'resume', 'restart', 'snapshot'].filter((op) => !hindrance(w, op, now))
  test('fits the state', () => {
    expect(sensible(workload())).toEqual(['stop', 'pause', 'restart', 'snapshot'])
    expect(sensible(workload({ observed: 'stopped' }))).toEqual(['start', 'snapshot'])
    expect(sensible(workload({ observed: 'paused' }))).toEqual(['stop', 'resume', 'snapshot'])
    expect(sensible(workload({ observed: 'unknown' })).length).toBe(6)
    expect(sensible(workload({ observed: 'absent' }))).toEqual([])
  })
  test('waits for its host and for the one before it', () => {
    expect(hindrance(workload({ reachability: 'unknown' }), 'stop', now)).toBe('atlas is not heard of')
    expect(hindrance(workload({ operation: 'restart', deadline: at(5) }), 'stop', now)).toBe('restart is under way')
    expect(hindrance(workload({ operation: 'restart', deadline: at(-5) }), 'stop', now)).toBe('')
  })
  test('of what is to be removed is to stop or to keep it', () => expect(sensible(workload({ tombstone: true, desired: 'absent' }))).toEqual(['stop', 'snapshot']))
})

test('what is said of absent tells that nothing is removed', () => expect(choices.find((c) => c.value === 'absent')!.text).toContain('removes nothing yet'))

describe('an action', () => {
  const steps = (a: Action) => stepsOf(a).map((s) => `${s.name} ${s.state}`).join(', ')
  test('shows how far it is', () => {
    expect(steps(action())).toBe('Proposed done, Approved now, Sent ahead, Begun ahead, Ended ahead')
    expect(steps(action({ state: 'dispatching' }))).toBe('Proposed done, Approved done, Sent done, Begun now, Ended ahead')
    expect(steps(action({ state: 'running' }))).toBe('Proposed done, Approved done, Sent done, Begun done, Ended now')
  })
  test('shows where it ended', () => {
    expect(steps(action({ state: 'withdrawn' }))).toBe('Proposed done, Approved never, Sent never, Begun never, Withdrawn done')
    expect(steps(action({ state: 'superseded', approved_by: 'ada' }))).toBe('Proposed done, Approved done, Sent never, Begun never, Superseded done')
    expect(steps(action({ state: 'failed', approved_by: 'ada', server: 's', receipt: { state: 'refused', started_at: '0001-01-01T00:00:00Z' } }))).toBe('Proposed done, Approved done, Sent done, Begun never, Failed done')
    expect(steps(action({ state: 'succeeded', approved_by: 'ada', server: 's', receipt: { state: 'succeeded', started_at: at(-2) } }))).toBe('Proposed done, Approved done, Sent done, Begun done, Succeeded done')
  })
  test('is open until it has its outcome, and withdrawn before it is sent', () => {
    expect(isOpen('unknown') && !isOpen('failed') && isWithdrawable('approved') && !isWithdrawable('dispatching')).toBe(true)
    expect(waitsFor(action({ state: 'unknown' }), 'atlas')).toContain('nothing is done twice')
    expect(waitsFor(action({ state: 'failed' }), 'atlas')).toBe('')
  })
  test('reads as what it does', () => expect([whatOf(action()), stateText('awaiting_approval'), approveLine({ id: 'act_1', plan_hash: '0123456789abcdef0123' })]).toEqual(['Start web', 'awaits approval', 'reeve approve act_1 --hash 0123456789abcdef']))
  test('says who took it back', () => expect([whyOf(action({ why: 'withdraw by user:ada' })), whyOf(action({ why: 'not now' })), whyOf(action())]).toEqual(['withdrawn by ada', 'not now', '']))
  test('has a receipt of before and after', () => {
    expect(beforeAfter({ observed: 'stopped', sequence: '4', generation: '9' }, { observed: 'running', raw_label: 'running', sequence: '5' })).toEqual([['observed', 'stopped', 'running'], ['raw_label', '', 'running']])
  })
})

describe('the story of work', () => {
  const t = (object: string, verb: string, more: Partial<Transition> = {}) => tell({ seq: 1, at: at(0), actor: 'reconcile', verb, object, object_id: 'x', ...more } as Transition, null)
  test('what was seen', () => {
    expect(t('workload', 'observe', { from: 'running', to: 'stopped', facts: { observed: 'running -> stopped', problems: ' -> stopped_unexpectedly' } })).toMatchObject({ text: 'Is stopped', tone: 'warning' })
    expect(t('workload', 'observe', { from: 'stopped', to: 'running', facts: { observed: 'stopped -> running', problems: 'stopped_unexpectedly -> ' } })).toMatchObject({ text: 'Is running', tone: 'ok' })
    expect(t('workload', 'observe', { from: 'running', to: 'running', facts: { problems: ' -> drift' } })).toMatchObject({ text: 'Judged: drift', tone: 'warning' })
  })
  test('what was wanted', () => {
    expect(t('workload', 'declare', { actor: 'user:ada', facts: { desired: ' -> running' } })).toMatchObject({ text: 'Should be running', by: 'ada' })
    expect(t('workload', 'declare', { facts: { desired: 'running -> ' } }).text).toBe('No longer declared')
  })
  test('the same verb of another thing has its own words', () => {
    expect(t('action', 'withdraw').text).toBe('Withdrawn')
    expect(t('host', 'withdraw').text).toBe('Invitation withdrawn')
    expect(t('workload', 'end').text).toBe('The operation ended')
  })
  test('an action is named by what it does', () => expect(tell({ seq: 1, at: at(0), actor: 'act', verb: 'succeed', object: 'action', object_id: 'act_1', facts: { verb: 'workload.start' } } as Transition).text).toBe('Start: succeeded'))
})

test('filters become the query of the API', () => {
  const path = (text: string) => workloadsPath(workloadFilters(new URLSearchParams(text)))
  expect(path('q=we&host=atlas&declared=1&problem=1&declare=1')).toBe('workloads?q=we&host=atlas&declared=true&problem=true')
  expect(path('')).toBe('workloads?')
})
