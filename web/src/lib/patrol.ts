// The shapes of patrols, investigations, models and notes, and how they read.
import { count, duration } from './format'
import type { Severity, Strings } from './types'

export interface Tokens {
  input: number
  cached: number
  cache_write: number
  output: number
  reasoning: number
}

export interface Claim {
  kind: string
  resource: string
  metric?: string
  stat?: string
  minutes?: number
  value?: number | null
  name?: string
  text?: string
  at?: string
}

export interface RunItem {
  finding_id?: string
  incident_id?: string
  condition: string
  resource_id: string
  place: string
  severity: Severity
  rank: number
  what: string
  since: string
  news: 'new' | 'worse' | 'known' | 'cleared' | 'forecast'
  evidence?: string[]
  causes?: string[]
  checks?: string[]
  affects?: string[]
  before?: string
  model_says?: string
}

export interface RunScope {
  resources?: string[]
  kinds?: string[]
}

export interface RunToolCall {
  tool: string
  input?: unknown
  output_hash: string
  output_bytes: number
  took_us: number
  error?: string
}

export interface Run {
  id: string
  trigger: string
  triggers: number
  reason?: string
  actor: string
  depth: string
  priority: number
  scope_asked: RunScope
  state: 'queued' | 'running' | 'done' | 'merged' | 'refused' | 'failed' | 'interrupted' | 'cancelled'
  health?: 'healthy' | 'issues' | 'critical' | 'inconclusive' | 'failed' | ''
  quiet: boolean
  queued_at: string
  not_before?: string
  started_at?: string
  ended_at?: string
  starts: number
  merged_into?: string
  model?: string
  tokens: Tokens
  cost_micro_usd: number | null
  summary?: string
  error?: string
  detail: {
    scope_effective?: string[]
    left_out?: Strings
    counts?: Record<string, number>
    complete?: boolean
    incomplete?: string[]
    stages?: { name: string; at: string; took_us: number; note?: string }[]
    items?: RunItem[]
    findings_new?: string[]
    findings_known?: string[]
    findings_cleared?: string[]
    rejected?: { what: string; reason: string }[]
    assessments?: { finding_id: string; verdict: string; note?: string; by: string }[]
    tool_calls?: RunToolCall[]
    turns?: number
    estimated_input_tokens?: number
    prompt_bytes?: number
    replay_of?: string
  }
}

export interface Investigation {
  id: string
  incident_id: string
  trigger: string
  actor: string
  state: string
  attempt: number
  model?: string
  queued_at: string
  started_at?: string
  ended_at?: string
  summary?: string
  confidence?: string
  tokens: Tokens
  cost_micro_usd: number | null
  error?: string
  detail: {
    steps?: { kind: string; name: string; why?: string; input?: unknown; output?: string; output_hash: string; output_bytes: number; took_us: number; shows?: string; error?: string }[]
    hypotheses?: { cause: string; resource_id?: string; for?: Claim[]; against?: Claim[]; notes?: string[]; confidence: string }[]
    proposal?: { verb: string; target: string; params?: Strings; reason: string }
    next?: string[]
    rejected?: { what: string; reason: string }[]
    turns?: number
  }
}

export interface Note {
  id: string
  resource_id?: string
  condition?: string
  finding_id?: string
  kind: 'note' | 'solution' | 'dismissal'
  text: string
  author: string
  state: 'suggested' | 'active' | 'declined' | 'removed'
  at: string
  decided_by?: string
}

/** money reads millionths of a US dollar. */
export function money(micro: number | null | undefined): string {
  if (micro === null || micro === undefined) return 'price unknown'
  const usd = micro / 1e6
  if (usd === 0) return '$0'
  return usd < 0.01 ? `$${usd.toFixed(4)}` : `$${usd.toFixed(2)}`
}

/** took reads microseconds. */
export const took = (us: number) => (us < 1000 ? `${Math.round(us)} µs` : duration(us / 1e6))

export const tokensText = (t: Tokens | undefined) =>
  !t || t.input + t.output === 0 ? 'no tokens' : `${count(t.input)} in${t.cached ? ` (${count(t.cached)} cached)` : ''}, ${count(t.output)} out`

const marks: Record<string, string> = { healthy: 'ok', issues: 'warning', critical: 'critical', inconclusive: 'unknown', failed: 'critical' }

/** markOfRun is the sign of a run: what it says of the estate, or how it ended. */
export function markOfRun(r: Run): string {
  if (r.state === 'done') return marks[r.health ?? ''] ?? 'unknown'
  if (r.state === 'failed' || r.state === 'interrupted') return 'critical'
  if (r.state === 'refused') return 'warning'
  return r.state === 'merged' || r.state === 'cancelled' ? 'muted' : 'unknown'
}

/** verdictOf says in two words what a run says. */
export function verdictOf(r: Run): string {
  if (r.state !== 'done') return r.state === 'merged' ? 'went into another run' : r.state
  if (r.quiet) return 'quiet'
  return { healthy: 'all clear', issues: 'issues', critical: 'critical', inconclusive: 'inconclusive', failed: 'failed' }[r.health || 'failed'] ?? ''
}

/** headline is the first sentence of a summary, rest what follows. */
export function headline(summary: string | undefined): [head: string, rest: string] {
  const text = summary ?? ''
  const end = text.search(/\.\s/)
  return end < 0 ? [text.replace(/\.$/, ''), ''] : [text.slice(0, end), text.slice(end + 1).trim()]
}

/** scopeText says what a run looks at. */
export function scopeText(s: RunScope | undefined): string {
  const n = s?.resources?.length ?? 0
  const kinds = s?.kinds?.join(', ') ?? ''
  if (!n && !kinds) return 'the whole estate'
  const which = n ? (n === 1 ? '1 resource' : `${n} resources`) : ''
  return [which, kinds && `kind ${kinds}`].filter(Boolean).join(' of ')
}

export const ended = (r: Run) => !['queued', 'running'].includes(r.state)

/** claimText reads a claim as a sentence. */
export function claimText(c: Claim): string {
  switch (c.kind) {
    case 'metric':
      return `${c.stat || 'last'} of ${c.metric} over ${c.minutes || 60} min is ${c.value}`
    case 'quote':
      return `“${c.text}”`
    case 'state':
      return `${c.name} is ${c.text}`
    case 'time':
      return `${c.name} at ${c.at ? new Date(c.at).toLocaleTimeString('en-GB') : '?'}`
  }
  return c.text ?? ''
}
