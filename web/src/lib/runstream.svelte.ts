// One run while it is going on, over its own event stream. It resumes where
// it broke off and never shows another run.
import { address } from './api'
import { Parser } from './sse'

export interface RunEvent {
  seq: number
  type: string
  data: Record<string, unknown>
}

const kept = 400

export class RunStream {
  events = $state.raw<RunEvent[]>([])
  text = $state('')
  stage = $state('')
  done = $state(false)
  broken = $state(false)
  private stop = new AbortController()
  private last = ''

  constructor(
    private id: string,
    private onend: () => void,
  ) {
    void this.follow()
  }

  end() {
    this.stop.abort()
  }

  private async follow() {
    for (let tries = 0; !this.stop.signal.aborted && !this.done && tries < 20; tries++) {
      try {
        await this.read()
        this.broken = false
      } catch {
        if (this.stop.signal.aborted) return
        this.broken = true
      }
      if (this.done) break
      await new Promise((again) => setTimeout(again, Math.min(500 * 2 ** tries, 10_000)))
    }
    if (!this.stop.signal.aborted) this.onend()
  }

  private async read() {
    const headers: Record<string, string> = { Accept: 'text/event-stream' }
    if (this.last) headers['Last-Event-ID'] = this.last
    const answer = await fetch(address('stream', { run: this.id }), { headers, signal: this.stop.signal, credentials: 'same-origin', cache: 'no-store' })
    if (!answer.ok || !answer.body) throw new Error(`stream: HTTP ${answer.status}`)
    const parser = new Parser()
    const text = new TextDecoder()
    const reader = answer.body.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      for (const e of parser.push(text.decode(value, { stream: true }))) this.take(e.id, e.event, e.data)
    }
  }

  private take(id: string, type: string, data: string) {
    if (id) this.last = id
    let parsed: Record<string, unknown>
    try {
      parsed = JSON.parse(data) as Record<string, unknown>
    } catch {
      return // Not for this page.
    }
    const seq = Number(id.split(':').pop()) || 0
    if (seq && this.events.some((e) => e.seq === seq)) return
    if (type === 'text') this.text += String(parsed.text ?? '')
    else this.events = [...this.events, { seq, type, data: parsed }].slice(-kept)
    if (type === 'phase' && !parsed.done) this.stage = String(parsed.name ?? '')
    if (type === 'done') this.done = true
  }
}
