// Transitions and deliveries as a story that people read. Pure.
import { person, sentence, words } from './format'
import type { Delivery, Finding, Transition } from './types'

export interface Happening {
  key: string
  at: string
  text: string
  note?: string
  by?: string
  tone: 'critical' | 'warning' | 'ok' | 'accent' | 'plain'
}

const verbs: Record<string, [string, Happening['tone']]> = {
  open: ['opened', 'warning'],
  opened: ['opened', 'warning'],
  regress: ['is back', 'warning'],
  reopen: ['opened again', 'warning'],
  rise: ['got worse', 'critical'],
  acknowledge: ['acknowledged', 'accent'],
  suppress: ['suppressed', 'plain'],
  unsuppress: ['suppression ended', 'plain'],
  recover: ['recovered', 'ok'],
  remediate: ['fixed by an action', 'ok'],
  obsolete: ['gone with its resource', 'plain'],
  mitigate: ['every member recovered', 'ok'],
  close: ['closed', 'ok'],
  expire: ['closed for good', 'plain'],
  merge: ['merged', 'plain'],
  join: ['a finding joined', 'warning'],
  claim: ['said to be solved', 'accent'],
  appear: ['appeared', 'plain'],
  change: ['changed', 'plain'],
  remove: ['is gone', 'plain'],
  vanish: ['is missing', 'plain'],
  declare: ['declared', 'accent'],
  sign_in: ['signed in', 'plain'],
  sign_out: ['signed out', 'plain'],
  create: ['made', 'accent'],
  delete: ['deleted', 'plain'],
  enrol: ['joined', 'ok'],
  invite: ['invited', 'accent'],
  withdraw: ['invitation withdrawn', 'plain'],
  degrade: ['degraded', 'warning'],
  hold: ['held back, no verdict', 'warning'],
  silence: ['unreachable', 'critical'],
  return: ['is back', 'ok'],
  maintain: ['in maintenance', 'accent'],
  end: ['maintenance over', 'ok'],
  revoke: ['certificate revoked', 'warning'],
  renew: ['certificate renewed', 'plain'],
  conflict: ['another machine came with its key', 'critical'],
  accept_machine: ['the next machine is accepted', 'accent'],
  boot: ['started', 'plain'],
  agent_version: ['has another version of its agent', 'plain'],
  rotate: ['being replaced', 'accent'],
  'workload.begin': ['an operation began', 'accent'],
  'workload.end': ['the operation ended', 'plain'],
  'action.propose': ['proposed', 'accent'],
  'action.approve': ['approved', 'accent'],
  'action.reject': ['rejected', 'plain'],
  'action.expire': ['expired', 'plain'],
  'action.withdraw': ['withdrawn', 'plain'],
  'action.supersede': ['superseded: its target is not as it was planned for', 'warning'],
  'action.dispatch': ['sent to the host', 'accent'],
  'action.claim': ['begun by the agent', 'accent'],
  'action.succeed': ['succeeded', 'ok'],
  'action.fail': ['failed', 'critical'],
  'action.lose': ['outcome unknown', 'warning'],
}

const workers = /^(watch|notify|ingest|correlate|reconcile|system|fleet|act)$/

/** change reads both sides of a fact like "running -> stopped". */
const change = (fact: string | undefined) => (fact ?? '').split(' -> ') as [string, string?]

/** observed says what was seen of a workload, and what that means. */
function observed(t: Transition): [string, Happening['tone']] {
  const [before, problems] = change(t.facts?.problems)
  const tone = problems ? 'warning' : before || t.to === 'running' ? 'ok' : 'plain'
  if (t.to && t.from !== t.to) return [t.to === 'unknown' ? 'not known what it is' : `is ${t.to}`, tone]
  return [problems ? `judged: ${problems.split(' ').map(words).join(', ')}` : 'as it should be', tone]
}

/** told are the words for what was done, and how they sound. */
function told(t: Transition): [string, Happening['tone']] {
  if (t.object === 'workload' && t.verb === 'observe') return observed(t)
  if (t.object === 'workload' && t.verb === 'declare') {
    const to = change(t.facts?.desired)[1]
    return [to === undefined ? 'declared again' : to ? `should be ${to}` : 'no longer declared', 'accent']
  }
  return verbs[`${t.object}.${t.verb}`] ?? verbs[t.verb] ?? [words(t.verb), 'plain']
}

/** subjectOf names what a transition moved. */
function subjectOf(t: Transition): string {
  if (t.object === 'action') return sentence(words((t.facts?.verb ?? 'action').replace('workload.', '')))
  return t.facts?.name || (t.facts?.condition ? sentence(words(t.facts.condition)) : sentence(words(t.object)))
}

/** tell puts one transition into words; about names what it moved, null leaves that out. */
export function tell(t: Transition, about: string | null = ''): Happening {
  const [verb, tone] = told(t)
  const subject = about || subjectOf(t)
  const by = workers.test(t.actor) ? undefined : person(t.actor) + (t.on_behalf ? ` for ${person(t.on_behalf)}` : '')
  const severe = t.facts?.severity === 'critical' && (tone === 'warning' || tone === 'critical')
  return { key: 't' + t.seq, at: t.at, text: about === null ? sentence(verb) : `${subject}: ${verb}`, note: t.reason, by, tone: severe ? 'critical' : tone }
}

const delivered: Record<string, [string, Happening['tone']]> = {
  delivered: ['told', 'accent'],
  queued: ['waiting to tell', 'plain'],
  sending: ['telling', 'plain'],
  dead: ['could not tell', 'critical'],
  dropped: ['no longer told', 'plain'],
}

export function tellDelivery(d: Delivery): Happening {
  const [verb, tone] = delivered[d.state] ?? [d.state, 'plain']
  const what = d.message?.event ? ` (${words(d.message.event)})` : ''
  return { key: 'd' + d.id, at: d.delivered_at || d.created_at, text: `${sentence(verb)} ${d.channel}${what}`, note: d.error, tone }
}

/** story is the whole time-line, oldest first; deliveries' own transitions are told once. */
export function story(transitions: Transition[] = [], deliveries: Delivery[] = [], findings: Finding[] = []): Happening[] {
  const names = new Map(findings.map((f) => [f.id, sentence(words(f.condition))]))
  const known = new Set(deliveries.map((d) => d.id))
  const all = transitions.filter((t) => !(t.object === 'delivery' && known.has(t.object_id))).map((t) => tell(t, names.get(t.object_id)))
  return [...all, ...deliveries.map(tellDelivery)].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
}
