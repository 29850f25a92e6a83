// Checks as a form has them. Pure.
import { millis } from './format'
import type { Check } from './types'

export const types: { type: string; title: string; target: string; hint: string }[] = [
  { type: 'http', title: 'HTTP(S)', target: 'https://example.org/health', hint: 'A page that must answer.' },
  { type: 'tcp', title: 'TCP', target: 'db.example.org:5432', hint: 'A port that must accept.' },
  { type: 'icmp', title: 'Ping', target: 'router.lan', hint: 'A host that must answer.' },
  { type: 'dns', title: 'DNS', target: 'example.org', hint: 'A name that must resolve.' },
  { type: 'tls', title: 'TLS', target: 'mail.example.org:465', hint: 'A certificate that must be valid for long enough.' },
  { type: 'heartbeat', title: 'Heartbeat', target: '', hint: 'A job that must call Reeve in time.' },
]

export interface Form {
  name: string
  type: string
  target: string
  every: string // seconds
  timeout: string
  grace: string
  status: string
  contains: string
  server: string
  expect: string
  insecure: boolean
}

const seconds = (ms: unknown) => (Number(ms) > 0 ? String(Number(ms) / 1000) : '')
const list = (v: unknown) => (Array.isArray(v) ? v.join(', ') : '')

export function formOf(c: Check | null): Form {
  return {
    name: c?.name ?? '', type: c?.type ?? 'http', target: c?.target ?? '', every: seconds(c?.every_ms), timeout: seconds(c?.timeout_ms),
    grace: seconds(c?.grace_ms), status: list(c?.status), contains: String(c?.contains ?? ''), server: String(c?.server ?? ''),
    expect: list(c?.expect), insecure: Boolean(c?.insecure),
  }
}

const split = (text: string) => text.split(/[,\s]+/).filter(Boolean)
const ms = (text: string) => (Number(text) > 0 ? Math.round(Number(text) * 1000) : undefined)

/** bodyOf is what the API takes; what the form does not show of an existing check stays. */
export function bodyOf(f: Form, before: Check | null): Record<string, unknown> {
  const http = f.type === 'http'
  const beat = f.type === 'heartbeat'
  return {
    method: before?.method, headers: before?.headers, labels: before?.labels,
    name: f.name.trim(), type: f.type, target: beat ? undefined : f.target.trim(), every_ms: ms(f.every),
    timeout_ms: beat ? undefined : ms(f.timeout), grace_ms: beat ? ms(f.grace) : undefined,
    status: http && f.status.trim() ? split(f.status).map(Number) : undefined,
    contains: http && f.contains ? f.contains : undefined,
    insecure: (http || f.type === 'tls') && f.insecure ? true : undefined,
    server: f.type === 'dns' && f.server.trim() ? f.server.trim() : undefined,
    expect: f.type === 'dns' && f.expect.trim() ? split(f.expect) : undefined,
  }
}

export const rhythm = (c: Check) => (c.every_ms ? `every ${millis(Number(c.every_ms))}` : c.type === 'heartbeat' ? 'every 1 h' : 'every 1 min')
