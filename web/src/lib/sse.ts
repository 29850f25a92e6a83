// Server-sent events, read from a stream of bytes. The browser's EventSource
// cannot hand over the last id after a page-side restart, nor tell "signed
// out" from "gone"; this can. Pure.

export interface ServerEvent {
  id: string
  event: string
  data: string
}

/** A Parser turns chunks of text into events; a chunk may end anywhere. */
export class Parser {
  private rest = ''
  private fields: ServerEvent = { id: '', event: 'message', data: '' }
  private seen = false

  push(chunk: string): ServerEvent[] {
    const lines = (this.rest + chunk).split(/\r\n|\n|\r(?!$)/)
    this.rest = lines.pop() ?? ''
    const events: ServerEvent[] = []
    for (const line of lines) {
      if (line === '') {
        if (this.seen) events.push({ ...this.fields, data: this.fields.data.replace(/\n$/, '') })
        this.fields = { id: '', event: 'message', data: '' }
        this.seen = false
      } else this.field(line)
    }
    return events
  }

  private field(line: string) {
    if (line.startsWith(':')) return
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'data') {
      this.fields.data += text + '\n'
      this.seen = true
    } else if (name === 'event') this.fields.event = text
    else if (name === 'id') this.fields.id = text
  }
}
