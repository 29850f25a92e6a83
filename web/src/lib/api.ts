// The only way out of the page: JSON over the API, problems as errors.
import type { List } from './types'

const root = new URL('api/v1/', document.baseURI)

/** What the session gave us to send with every unsafe request. */
export const csrf = { token: '' }

/** Called when the server says that nobody is signed in. */
export const signedOut = { listener: () => {} }

/** A Problem is an error as the API describes it (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail = '',
    readonly fields: Record<string, string> = {},
  ) {
    super(detail || title)
  }
}

export type Params = Record<string, string | number | string[] | undefined | null>

/** address makes the address of an API path with its parameters, empty ones left out. */
export function address(path: string, params: Params = {}): string {
  const url = new URL(path, root)
  for (const [name, value] of Object.entries(params)) {
    if (Array.isArray(value)) value.forEach((v) => url.searchParams.append(name, v))
    else if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, String(value))
  }
  return url.href
}

async function problemOf(answer: Response): Promise<Problem> {
  const plain = answer.status >= 500 ? 'The server could not answer' : 'The server refused'
  try {
    const p = await answer.json()
    return new Problem(answer.status, p.title || plain, p.detail, p.fields ?? {})
  } catch {
    return new Problem(answer.status, plain, `HTTP ${answer.status}`)
  }
}

async function request<T>(url: string, init: RequestInit): Promise<T> {
  let answer: Response
  try {
    answer = await fetch(url, { credentials: 'same-origin', ...init })
  } catch (cause) {
    if (init.signal?.aborted) throw cause
    throw new Problem(0, 'Reeve does not answer', 'The server is not reachable from this browser.')
  }
  if (!answer.ok) {
    const problem = await problemOf(answer)
    if (answer.status === 401) signedOut.listener()
    throw problem
  }
  if (answer.status === 204) return undefined as T
  const text = await answer.text()
  return (text ? JSON.parse(text) : undefined) as T
}

export function get<T>(path: string, params?: Params, signal?: AbortSignal): Promise<T> {
  return request<T>(address(path, params), { signal, headers: { Accept: 'application/json' } })
}

export function send<T = unknown>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', 'X-CSRF-Token': csrf.token }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  return request<T>(address(path), { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
}

/** items accepts a list in either of its two honest forms: {items} or a bare array. */
export function items<T>(answer: List<T> | T[] | undefined): T[] {
  if (!answer) return []
  return Array.isArray(answer) ? answer : (answer.items ?? [])
}

/** problem turns whatever was thrown into something that can be shown. */
export function problem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  return new Problem(0, 'This page made a mistake', thrown instanceof Error ? thrown.message : String(thrown))
}
