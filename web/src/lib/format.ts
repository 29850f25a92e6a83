// How values read: units, durations, times. Pure; `now` is handed in.

const nothing = '–'

export function decimals(v: number): string {
  const size = Math.abs(v)
  if (size >= 100 || v === 0) return Math.round(v).toLocaleString('en')
  if (size >= 10) return v.toFixed(1).replace(/\.0$/, '')
  if (size >= 0.01) return v.toFixed(2).replace(/\.?0+$/, '')
  return v.toPrecision(2)
}

export function ratio(v: number | null | undefined): string {
  if (v === null || v === undefined || !Number.isFinite(v)) return nothing
  const percent = v * 100
  return (percent !== 0 && Math.abs(percent) < 9.95 ? percent.toFixed(1) : Math.round(percent).toString()) + '%'
}

export function bytes(v: number | null | undefined): string {
  if (v === null || v === undefined || !Number.isFinite(v)) return nothing
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let i = 0
  let size = v
  while (Math.abs(size) >= 1024 && i < units.length - 1) {
    size /= 1024
    i++
  }
  return `${i === 0 ? Math.round(size) : decimals(size)} ${units[i]}`
}

/** duration reads seconds as the two largest units. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return nothing
  if (seconds === 0) return '0 s'
  const sign = seconds < 0 ? '−' : ''
  const s = Math.abs(seconds)
  if (s < 1) return `${sign}${Math.round(s * 1000)} ms`
  if (s < 60) return `${sign}${s < 10 ? decimals(s) : Math.round(s)} s`
  const parts: [number, string][] = [[86400, 'd'], [3600, 'h'], [60, 'min']]
  for (const [i, [size, unit]] of parts.entries()) {
    if (s < size) continue
    const rest = parts[i + 1]
    const whole = Math.floor(s / size)
    const left = rest ? Math.floor((s - whole * size) / rest[0]) : 0
    return sign + `${whole} ${unit}` + (left > 0 && whole < 100 ? ` ${left} ${rest![1]}` : '')
  }
  return nothing
}

export const millis = (ms: number) => duration(ms / 1000)

/** value reads a number of a metric in its unit. */
export function value(v: number | null | undefined, unit: string): string {
  if (v === null || v === undefined || !Number.isFinite(v)) return nothing
  switch (unit) {
    case 'ratio':
      return ratio(v)
    case 'bytes':
      return bytes(v)
    case 'bytes_per_s':
      return bytes(v) + '/s'
    case 'seconds':
      return duration(v)
    case 'celsius':
      return decimals(v) + ' °C'
    case 'watts':
      return decimals(v) + ' W'
    case 'rpm':
      return decimals(v) + ' rpm'
    case 'per_s':
      return decimals(v) + '/s'
    case 'hours':
      return duration(v * 3600)
    case 'bits':
      return decimals(v) + ' bits'
    case 'bool':
      return v >= 0.5 ? 'yes' : 'no'
    case 'percent':
      return decimals(v) + '%'
    case 'days':
      return decimals(v) + ' d'
    case 'milliseconds':
      return duration(v / 1000)
    case 'count':
    case 'load':
    case '':
      return decimals(v)
  }
  return `${decimals(v)} ${unit.replaceAll('_', ' ')}`
}

/** timeOf reads a time of the API; NaN for none (Go's zero time is none). */
export function timeOf(at: string | number | null | undefined): number {
  if (at === null || at === undefined || at === '') return NaN
  const ms = typeof at === 'number' ? at : Date.parse(at)
  return ms < -6e13 ? NaN : ms
}

/** ago says how long before now a time was, short: "4 min". */
export function since(at: string | number | null | undefined, now: number): string {
  const ms = timeOf(at)
  if (Number.isNaN(ms)) return nothing
  const s = Math.max(0, (now - ms) / 1000)
  if (s < 5) return 'now'
  if (s < 60) return `${Math.floor(s)} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 48 * 3600) return duration(s - (s % 60))
  return `${Math.floor(s / 86400)} d`
}

export function ago(at: string | number | null | undefined, now: number): string {
  const text = since(at, now)
  return text === nothing ? 'never' : text === 'now' ? 'just now' : text + ' ago'
}

/** ahead says how long after now a time is: "in 3 h". */
export function ahead(at: string | number | null | undefined, now: number): string {
  const ms = timeOf(at)
  if (Number.isNaN(ms)) return nothing
  return ms <= now ? 'now' : 'in ' + duration(Math.round((ms - now) / 60000) * 60 || 1)
}

const pad = (n: number) => String(n).padStart(2, '0')

/** clock reads a time for people: the hour today, the day before it otherwise. */
export function clock(at: string | number | null | undefined, now: number, seconds = false): string {
  const ms = timeOf(at)
  if (Number.isNaN(ms)) return nothing
  const d = new Date(ms)
  const hour = `${pad(d.getHours())}:${pad(d.getMinutes())}${seconds ? ':' + pad(d.getSeconds()) : ''}`
  const today = new Date(now)
  if (d.toDateString() === today.toDateString()) return hour
  const month = d.toLocaleString('en', { month: 'short' })
  return `${d.getDate()} ${month}${d.getFullYear() === today.getFullYear() ? '' : ' ' + d.getFullYear()}, ${hour}`
}

/** full is the unambiguous form, for tooltips. */
export function full(at: string | number | null | undefined): string {
  const ms = timeOf(at)
  return Number.isNaN(ms) ? 'never' : new Date(ms).toLocaleString('en-GB', { dateStyle: 'full', timeStyle: 'long' })
}

export const count = (n: number) => n.toLocaleString('en')

export function plural(n: number, one: string, many = one + 's'): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

const spelled: Record<string, string> = {
  fs: 'file system', cpu: 'CPU', gpu: 'GPU', oom: 'OOM', io: 'I/O', raid: 'RAID', zfs: 'ZFS', smart: 'SMART', id: 'ID', api: 'API', tcp: 'TCP', os: 'OS', wal: 'WAL', gc: 'GC', rss: 'RSS', fstype: 'type',
}

/** words turns a permanent name into words: "fs_full_soon" reads "file system full soon". */
export const words = (name: string) => name.split('_').map((w) => spelled[w] ?? w).join(' ')

/** sentence makes the first letter a capital. */
export const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

/** person reads an actor: "user:ada" is ada, "watch" stays. */
export const person = (actor: string) => actor.replace(/^user:/, '').replace(/^token:client\.json$/, 'the command line').replace(/^token:/, 'token ')

const factUnits = ['bytes_per_s', 'per_s', 'ratio', 'bytes', 'seconds', 'celsius', 'rpm', 'watts']
const factUnit = (name: string) => factUnits.find((u) => name.endsWith('_' + u))

/** factTitle names a fact or an attribute without its unit. */
export function factTitle(name: string): string {
  const unit = factUnit(name)
  return sentence(words(unit ? name.slice(0, -unit.length - 1) : name.replace(/_at$/, '')))
}

/** factText reads a fact, which is text, in the unit that its name ends with. */
export function factText(name: string, text: string): string {
  const unit = factUnit(name)
  if (unit && text.trim() !== '' && Number.isFinite(Number(text))) return value(Number(text), unit)
  if (/^\d{4}-\d\d-\d\dT\d\d:/.test(text) && Date.parse(text) > 0) {
    return new Date(text).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' })
  }
  if (text === 'true') return 'yes'
  return text === 'false' ? 'no' : text === '' ? nothing : text
}
