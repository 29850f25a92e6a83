// What a person does to findings and incidents. Each tells how it went.
import { problem, send } from './api'
import { notices } from './notices.svelte'
import { plural } from './format'

async function attempt(done: string, f: () => Promise<unknown>): Promise<boolean> {
  try {
    await f()
    notices.say(done)
    return true
  } catch (thrown) {
    const p = problem(thrown)
    notices.say(p.detail || p.title, true)
    return false
  }
}

export { attempt }

export const acknowledgeIncident = (id: string, reason = '') =>
  attempt('Acknowledged', () => send('POST', `incidents/${id}/ack`, { reason }))

export const acknowledgeFinding = (id: string, reason = '') =>
  attempt('Acknowledged', () => send('POST', `findings/${id}/ack`, { reason }))

export interface SuppressionForm {
  kind: string
  reason: string
  until: string
}

/** suppress keeps findings from being delivered until a time. */
export function suppress(ids: string[], form: SuppressionForm): Promise<boolean> {
  const body = { kind: form.kind, reason: form.reason, until: form.until || undefined }
  return attempt(`Suppressed ${plural(ids.length, 'finding')}`, () =>
    Promise.all(ids.map((id) => send('POST', `findings/${id}/suppress`, body))),
  )
}

export const unsuppress = (ids: string[], reason: string) =>
  attempt('Suppression ended', () => Promise.all(ids.map((id) => send('POST', `findings/${id}/unsuppress`, { reason }))))

export const claimResolved = (ids: string[], reason: string) =>
  attempt('Noted; it closes once the condition is gone', () =>
    Promise.all(ids.map((id) => send('POST', `findings/${id}/resolve`, { reason }))),
  )
