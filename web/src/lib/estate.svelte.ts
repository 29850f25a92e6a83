// What every page knows of the estate: the status, kept fresh, and the last
// minutes of the hosts' readings for their sparklines.
import { get, problem, type Problem } from './api'
import { clock } from './clock.svelte'
import { live } from './live.svelte'
import type { HostRow, Series, Status } from './types'

const slots = 90 // readings that are kept for sparklines: 15 minutes at 10 s
const fewestSlots = 18
const stepMS = 10_000
const maxHistories = 60

export interface History {
  cpu: (number | null)[]
  memory: (number | null)[]
}

class Estate {
  status = $state.raw<Status | undefined>()
  error = $state.raw<Problem | undefined>()
  hosts = $derived((this.status?.hosts ?? []).filter((h) => !h.invitation))
  /** Hosts that may join and have not. */
  invited = $derived((this.status?.hosts ?? []).filter((h) => h.invitation))
  histories = $state.raw<Record<string, History>>({})
  /** How many slots sparklines have: fewer while there is less to show. */
  slots = $derived(Math.max(fewestSlots, ...Object.values(this.histories).map((h) => known(h.cpu)), ...Object.values(this.histories).map((h) => known(h.memory))))
  minutes = $derived(Math.ceil((this.slots * stepMS) / 60_000))
  private asked = new Set<string>()
  private timer = 0

  /** follow keeps the status fresh until the returned function is called. */
  follow(): () => void {
    void this.refresh()
    const tick = setInterval(() => document.visibilityState === 'visible' && this.refresh(), 30_000)
    const offChange = live.onChange(() => this.soon())
    const offSamples = live.onSamples((_, hosts) => this.sampled(hosts))
    return () => {
      clearInterval(tick)
      clearTimeout(this.timer)
      offChange()
      offSamples()
    }
  }

  private soon() {
    clearTimeout(this.timer)
    this.timer = window.setTimeout(() => this.refresh(), 400)
  }

  refresh = async () => {
    try {
      this.status = await get<Status>('status')
      this.error = undefined
      clock.follow(this.status.now)
    } catch (thrown) {
      this.error = problem(thrown)
    }
  }

  private sampled(hosts: HostRow[]) {
    if (this.status && hosts.length) this.status = { ...this.status, hosts }
    const next = { ...this.histories }
    for (const h of hosts) {
      const old = next[h.id]
      if (!old) continue
      next[h.id] = {
        cpu: [...old.cpu, h.cpu_busy_ratio ?? null].slice(-slots),
        memory: [...old.memory, h.memory_used_ratio ?? null].slice(-slots),
      }
    }
    this.histories = next
  }

  /** recall reads the last minutes of the hosts that are shown, once each. */
  async recall(hosts: HostRow[]) {
    const fresh = hosts.filter((h) => h.resource_id && !this.asked.has(h.id)).slice(0, maxHistories - this.asked.size)
    fresh.forEach((h) => this.asked.add(h.id))
    for (let i = 0; i < fresh.length; i += 6) {
      await Promise.all(fresh.slice(i, i + 6).map((h) => this.recallOne(h)))
    }
  }

  private async recallOne(h: HostRow) {
    const to = clock.now
    const from = to - slots * stepMS
    let list: Series[] = []
    try {
      const times = { from: new Date(from).toISOString(), to: new Date(to).toISOString(), points: slots }
      const metric = ['cpu_busy_ratio', 'memory_used_ratio']
      const answer = await get<{ series?: Series[] }>(`resources/${h.resource_id}/series`, { metric, ...times })
      list = answer.series ?? []
    } catch {
      this.asked.delete(h.id)
    }
    const line = (metric: string) => {
      const row: (number | null)[] = Array(slots).fill(null)
      for (const p of list.find((s) => s.metric === metric)?.points ?? []) {
        const i = Math.round((Date.parse(p.at) - from) / stepMS)
        if (i >= 0 && i < slots) row[i] = p.value
      }
      return bridge(row)
    }
    this.histories = { ...this.histories, [h.id]: { cpu: line('cpu_busy_ratio'), memory: line('memory_used_ratio') } }
  }
}

/** known is how far back the first reading is. */
function known(row: (number | null)[]): number {
  const first = row.findIndex((v) => v !== null)
  return first < 0 ? 0 : row.length - first
}

/** bridge fills pauses of up to three slots, so that a slower series is still a line. */
function bridge(row: (number | null)[]): (number | null)[] {
  let last = -1
  const filled = [...row]
  row.forEach((v, i) => {
    if (v === null) return
    if (last >= 0 && i - last <= 4) for (let k = last + 1; k < i; k++) filled[k] = row[last]! + ((v - row[last]!) * (k - last)) / (i - last)
    last = i
  })
  return filled
}

export const estate = new Estate()
