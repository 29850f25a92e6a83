// The event stream: every committed change, and samples of the hosts. It
// resumes after the last id it saw, so nothing is missed in between.
import { address, signedOut } from './api'
import { Parser, type ServerEvent } from './sse'
import type { HostRow, Transition } from './types'

export type LiveState = 'connecting' | 'live' | 'stale'

const silenceMS = 35_000 // the server sends samples every 10 s
const retryMS = [500, 1000, 2000, 5000, 10_000, 15_000]

class Live {
  state = $state<LiveState>('connecting')
  lastAt = $state(0)
  /** Raised when the stream is back after a break: what was missed is unknown to those who read no ids. */
  resumed = $state(0)
  recent = $state.raw<Transition[]>([])

  private changes = new Set<(t: Transition) => void>()
  private samplers = new Set<(at: string, hosts: HostRow[]) => void>()
  private lastID = ''
  private stop: AbortController | null = null
  private tries = 0
  private timer = 0

  onChange(f: (t: Transition) => void): () => void {
    this.changes.add(f)
    return () => this.changes.delete(f)
  }

  onSamples(f: (at: string, hosts: HostRow[]) => void): () => void {
    this.samplers.add(f)
    return () => this.samplers.delete(f)
  }

  constructor() {
    // A document that the browser keeps for "back" keeps its stream, and there
    // are six connections for all: it lets go, and goes on when it is back.
    addEventListener('pagehide', () => this.stop?.abort())
    addEventListener('pageshow', (e) => {
      if (!e.persisted || !this.stop) return
      this.stop = new AbortController()
      this.state = 'stale'
      void this.run(this.stop)
    })
  }

  start() {
    this.end()
    this.stop = new AbortController()
    void this.run(this.stop)
  }

  end() {
    this.stop?.abort()
    this.stop = null
    clearTimeout(this.timer)
    this.state = 'connecting'
  }

  private async run(stop: AbortController) {
    while (!stop.signal.aborted) {
      try {
        await this.read(stop)
      } catch {
        // A broken stream is told by the state below.
      }
      clearTimeout(this.timer)
      if (stop.signal.aborted) return
      this.state = 'stale'
      const wait = retryMS[Math.min(this.tries++, retryMS.length - 1)]
      await new Promise((done) => setTimeout(done, wait * (0.8 + Math.random() * 0.4)))
    }
  }

  private async read(stop: AbortController) {
    const one = new AbortController()
    const cancel = () => one.abort()
    stop.signal.addEventListener('abort', cancel)
    const headers: Record<string, string> = { Accept: 'text/event-stream' }
    if (this.lastID) headers['Last-Event-ID'] = this.lastID
    try {
      const answer = await fetch(address('stream'), { headers, signal: one.signal, credentials: 'same-origin', cache: 'no-store' })
      if (answer.status === 401) {
        signedOut.listener()
        stop.abort()
        return
      }
      if (!answer.ok || !answer.body) throw new Error(`stream: HTTP ${answer.status}`)
      const back = this.state === 'stale'
      this.state = 'live'
      this.tries = 0
      if (back) this.resumed++
      const parser = new Parser()
      const text = new TextDecoder()
      const reader = answer.body.getReader()
      for (;;) {
        clearTimeout(this.timer)
        this.timer = window.setTimeout(cancel, silenceMS)
        const { done, value } = await reader.read()
        if (done) return
        this.lastAt = Date.now()
        for (const e of parser.push(text.decode(value, { stream: true }))) this.take(e)
      }
    } finally {
      stop.signal.removeEventListener('abort', cancel)
      one.abort()
    }
  }

  private take(e: ServerEvent) {
    if (e.id) this.lastID = e.id
    try {
      if (e.event === 'transition') {
        const t = JSON.parse(e.data) as Transition
        if (this.recent.some((r) => r.seq === t.seq)) return
        this.recent = [t, ...this.recent].slice(0, 50)
        this.changes.forEach((f) => f(t))
      } else if (e.event === 'samples') {
        const s = JSON.parse(e.data) as { at: string; hosts?: HostRow[] }
        this.samplers.forEach((f) => f(s.at, s.hosts ?? []))
      }
    } catch {
      // An event that is no JSON is not for this page.
    }
  }
}

export const live = new Live()
