// Reading from the API inside a component: what was read, whether it is being
// read, what went wrong, and when it was last right.
import { untrack } from 'svelte'
import { get, items, problem, type Problem } from './api'
import { live } from './live.svelte'
import type { List, Transition } from './types'

export interface Options {
  /** Read again when a transition concerns this. */
  on?: (t: Transition) => boolean
  /** Read again every so many ms while the page is visible. */
  every?: number
}

const settleMS = 250 // changes come in bursts

/** again calls read when it should be read again, until the component goes. */
function again(read: () => void, options: Options) {
  $effect(() => {
    let timer = 0
    const soon = () => {
      clearTimeout(timer)
      timer = window.setTimeout(read, settleMS)
    }
    const off = live.onChange((t) => options.on?.(t) && soon())
    const tick = options.every ? setInterval(() => document.visibilityState === 'visible' && read(), options.every) : 0
    return () => {
      off()
      clearTimeout(timer)
      clearInterval(tick)
    }
  })
  $effect(() => {
    if (live.resumed) untrack(read)
  })
}

export class Query<T> {
  data = $state.raw<T | undefined>()
  error = $state.raw<Problem | undefined>()
  busy = $state(true)
  private stop: AbortController | null = null

  constructor(private path: () => string | null) {}

  refresh = async () => {
    const path = untrack(this.path)
    if (!path) return
    this.stop?.abort()
    const stop = (this.stop = new AbortController())
    this.busy = true
    try {
      this.data = await get<T>(path, {}, stop.signal)
      this.error = undefined
    } catch (thrown) {
      if (stop.signal.aborted) return
      this.error = problem(thrown)
    }
    this.busy = false
  }

  clear() {
    this.stop?.abort()
    this.data = undefined
    this.error = undefined
  }
}

/** query reads a path now, when it changes, and when the options say so. */
export function query<T>(path: () => string | null, options: Options = {}): Query<T> {
  const q = new Query<T>(path)
  let before: string | null = null
  $effect(() => {
    const now = path()
    if (now === before) return
    untrack(() => {
      if (before?.split('?')[0] !== now?.split('?')[0]) q.clear()
      before = now
      void q.refresh()
    })
  })
  again(() => void q.refresh(), options)
  return q
}

/** Pages is a list read by keyset pages, as far as was looked at. */
export class Pages<T> {
  items = $state.raw<T[]>([])
  error = $state.raw<Problem | undefined>()
  busy = $state(true)
  loaded = $state(false)
  next = $state('')
  changed = $state(false)
  private stop: AbortController | null = null

  constructor(
    private path: () => string,
    private limit: number,
  ) {}

  get whole() {
    return this.loaded && !this.next
  }

  refresh = () => this.read('')

  more = () => {
    if (!this.busy && this.next && !this.error) void this.read(this.next)
  }

  private async read(cursor: string) {
    this.stop?.abort()
    const stop = (this.stop = new AbortController())
    this.busy = true
    try {
      const path = untrack(this.path)
      const page = await get<List<T>>(path, { limit: this.limit, cursor }, stop.signal)
      this.items = cursor ? this.items.concat(items(page)) : items(page)
      this.next = page.next ?? ''
      this.error = undefined
      this.loaded = true
      if (!cursor) this.changed = false
    } catch (thrown) {
      if (stop.signal.aborted) return
      this.error = problem(thrown)
    }
    this.busy = false
  }
}

/** pages reads a list. A change re-reads a list of one page at once; a longer
 * one is only marked, for it would jump under the reader's eyes. */
export function pages<T>(path: () => string, limit: number, options: Options = {}): Pages<T> {
  const p = new Pages<T>(path, limit)
  $effect(() => {
    path()
    untrack(() => void p.refresh())
  })
  const reread = () => {
    if (p.items.length <= limit) void p.refresh()
    else p.changed = true
  }
  again(reread, options)
  return p
}
