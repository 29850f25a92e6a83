// What workloads and actions are, in words. Pure.
import { duration, person, sentence, timeOf, words } from './format'
import { leftOf } from './hosts'
import type { Action, ActionState, Running, Strings, Workload } from './types'

export type Tone = 'ok' | 'warning' | 'critical' | 'accent' | ''

/** seenLast reports whether what is observed may have changed since: its host is not heard of. */
export const seenLast = (w: Workload) => w.reachability !== 'online'

/** problemsOf answers what is wrong, by condition, with the reason. */
export const problemsOf = (w: Workload): [string, string][] => Object.entries(w.problems ?? {}).sort(([a], [b]) => a.localeCompare(b))

/** markOf is the mark that a workload wears in a list. */
export function markOfWorkload(w: Workload): string {
  if (problemsOf(w).length) return 'warning'
  if (seenLast(w) || w.observed === 'unknown') return 'unknown'
  return w.desired && w.desired === w.observed ? 'ok' : ''
}

/** placeOf is the address of a workload on the page. */
export const placeOf = (w: { id: string }) => `workloads/${w.id}`

/** leftFor reads the time that an operation still has, to the second. */
export function leftFor(deadline: string | undefined, now: number): string {
  const left = leftOf(deadline ?? '', now)
  return Number.isNaN(timeOf(deadline)) ? '' : left === 'over' ? 'should have ended' : `${left} left`
}

export interface Choice {
  value: Running | 'none'
  name: string
  text: string
}

/** choices are what can be declared. */
export const choices: Choice[] = [
  { value: 'running', name: 'Running', text: 'When it does not run, that is a problem and people are told.' },
  { value: 'paused', name: 'Paused', text: 'It keeps its memory and does not run. Anything else is a problem.' },
  { value: 'stopped', name: 'Stopped', text: 'It is there and does not run. When it runs, that is a problem.' },
  { value: 'absent', name: 'Absent', text: 'Reeve itself removes nothing yet: as long as it is there it is a finding, until a person removes it. This is not taken back before it is gone.' },
  { value: 'none', name: 'Not declared', text: 'Takes the declaration back: whether it runs is nobody’s concern any more.' },
]

/** fits are the states that an operation makes sense in; unknown fits all, the agent looks before it acts. */
const fits: Record<string, string[]> = {
  start: ['stopped'], stop: ['running', 'paused'], pause: ['running'], resume: ['paused'], restart: ['running'], snapshot: ['running', 'paused', 'stopped'],
}

/** hindrance says why an operation makes no sense now, '' when it does. The server and the agent decide; this spares the question. */
export function hindrance(w: Workload, operation: string, now: number): string {
  if (seenLast(w)) return `${w.host} is not heard of`
  if (w.operation && timeOf(w.deadline) > now) return `${w.operation} is under way`
  if (w.tombstone && !['stop', 'snapshot'].includes(operation)) return 'it is to be removed'
  if (w.observed !== 'unknown' && !(fits[operation] ?? []).includes(w.observed)) return `it is ${w.observed}`
  return ''
}

/** operationOf reads the verb of an action: "workload.start" is start. */
export const operationOf = (verb: string) => verb.replace(/^workload\./, '')

/** what says in words what an action does. */
export const whatOf = (a: Action) => `${sentence(operationOf(a.verb))} ${a.plan?.target ?? a.workload_id}`

const states: Record<ActionState, [string, Tone]> = {
  awaiting_approval: ['awaits approval', 'accent'],
  approved: ['approved', 'accent'],
  dispatching: ['sent to the host', 'accent'],
  running: ['running', 'accent'],
  succeeded: ['succeeded', 'ok'],
  failed: ['failed', 'critical'],
  unknown: ['outcome unknown', 'warning'],
  rejected: ['rejected', ''],
  expired: ['expired', ''],
  withdrawn: ['withdrawn', ''],
  superseded: ['superseded', 'warning'],
}

export const stateText = (s: ActionState) => states[s]?.[0] ?? words(s)
export const stateTone = (s: ActionState): Tone => states[s]?.[1] ?? ''

/** open reports whether something can still become of an action. */
export const isOpen = (s: ActionState) => ['awaiting_approval', 'approved', 'dispatching', 'running', 'unknown'].includes(s)
export const isWithdrawable = (s: ActionState) => s === 'awaiting_approval' || s === 'approved'

/** whyOf says why an action is in its state, as people would. */
export const whyOf = (a: Action) => (a.why ?? '').replace(/^(withdraw|reject) by (\S+)$/, (_, verb: string, who: string) => `${verb === 'reject' ? 'rejected' : 'withdrawn'} by ${person(who)}`)

export interface Step {
  name: string
  state: 'done' | 'now' | 'ahead' | 'never'
}

const path: ActionState[] = ['awaiting_approval', 'approved', 'dispatching', 'running']
const done = ['Proposed', 'Approved', 'Sent', 'Begun']

/** stepsOf is how far an action has come, and where it ended. */
export function stepsOf(a: Action): Step[] {
  const ended = !path.includes(a.state)
  // What an action has behind it is told by what it carries.
  const come = ended ? (a.receipt?.started_at && timeOf(a.receipt.started_at) > 0 ? 3 : a.server ? 2 : a.approved_by ? 1 : 0) : path.indexOf(a.state)
  const steps: Step[] = done.map((name, i) => ({ name, state: i <= come ? 'done' : ended ? 'never' : i === come + 1 ? 'now' : 'ahead' }))
  steps.push({ name: ended ? sentence(stateText(a.state)) : 'Ended', state: ended ? 'done' : come === 3 ? 'now' : 'ahead' })
  return steps
}

/** waitsFor says whose turn it is. */
export function waitsFor(a: Action, host: string): string {
  switch (a.state) {
    case 'awaiting_approval':
      return 'It waits for the signature of an approver.'
    case 'approved':
      return `It is signed, and waits for ${host}.`
    case 'dispatching':
      return `It was sent to ${host}, whose agent checks the signature before it acts.`
    case 'running':
      return `${host} is at it.`
    case 'unknown':
      return `No receipt came in time. ${host} is asked for it; nothing is done twice.`
  }
  return ''
}

/** approveLine is what an approver types, for the very plan that is shown. The signature is made there, never in the browser. */
export const approveLine = (a: Pick<Action, 'id' | 'plan_hash'>) => `reeve approve ${a.id} --hash ${a.plan_hash.slice(0, 16)}`

/** beforeAfter lists what a receipt says of the target, by attribute; the count of lists is of no use to people. */
export function beforeAfter(before: Strings | undefined, after: Strings | undefined): [string, string, string][] {
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])
  names.delete('sequence')
  names.delete('generation')
  return [...names].sort().map((n) => [n, before?.[n] ?? '', after?.[n] ?? ''])
}

/** ranFor reads since when something runs: "1 d 2 h". */
export const ranFor = (w: Workload, now: number) => {
  const s = (now - timeOf(w.up_since)) / 1000
  return Number.isNaN(s) ? '' : duration(Math.max(0, s - (s % 3600) || s))
}
