// Series as a chart wants them: one shared time axis, holes where nothing was
// read, bands where readings were rolled up. Pure.
import type { Point, Series } from './types'

/** null breaks a line; undefined is a time that only another series has. */
export type Values = (number | null | undefined)[]

export interface Aligned {
  times: number[] // seconds
  rows: Values[]
  lows: (Values | null)[]
  highs: (Values | null)[]
}

/** step is the usual distance between readings: the median. */
export function step(times: number[]): number {
  if (times.length < 3) return Infinity
  const gaps = times.slice(1).map((t, i) => t - times[i])
  gaps.sort((a, b) => a - b)
  return gaps[Math.floor(gaps.length / 2)]
}

/** holes answers a time inside each pause of a series that is longer than three steps. */
function holes(times: number[]): number[] {
  const usual = step(times)
  const inside: number[] = []
  for (let i = 1; i < times.length; i++) {
    if (times[i] - times[i - 1] > usual * 3) inside.push(times[i - 1] + usual)
  }
  return inside
}

type Bound = (Point | number | null)[] | undefined

function bound(list: Bound, points: Point[]): Map<number, number> | null {
  if (!list?.length) return null
  const known = new Map<number, number>()
  list.forEach((v, i) => {
    if (v === null || v === undefined) return
    if (typeof v === 'number') {
      if (points[i]) known.set(Date.parse(points[i].at) / 1000, v)
    } else known.set(Date.parse(v.at) / 1000, v.value)
  })
  return known
}

/** align puts series on one axis: the union of their times. */
export function align(list: Series[]): Aligned {
  const own = list.map((s) => (s.points ?? []).map((p) => Date.parse(p.at) / 1000))
  const pauses = own.map(holes)
  const times = [...new Set([...own, ...pauses].flat())].sort((a, b) => a - b)
  const row = (known: Map<number, number>, breaks: Set<number>): Values => {
    return times.map((t) => (breaks.has(t) ? null : known.get(t)))
  }
  const rows: Values[] = []
  const lows: (Values | null)[] = []
  const highs: (Values | null)[] = []
  list.forEach((s, i) => {
    const points = s.points ?? []
    const breaks = new Set(pauses[i])
    const low = s.rolled ? bound(s.min, points) : null
    const high = s.rolled ? bound(s.max, points) : null
    rows.push(row(new Map(points.map((p, n) => [own[i][n], p.value])), breaks))
    lows.push(low && row(low, breaks))
    highs.push(high && row(high, breaks))
  })
  return { times, rows, lows, highs }
}

/** extent answers the scale of a chart: ratios show whole when they are near
 * it. A close scale leaves out what is far below, so that a slope shows. */
export function extent(low: number, high: number, unit: string, close = false): [number, number] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1]
  if (close && unit !== 'bool' && low > 0.5 * high) {
    const room = Math.max(high - low, Math.abs(high) * 0.02)
    const top = high + room * 0.25
    return [Math.max(0, low - room * 0.35), unit === 'ratio' && high <= 1 ? Math.min(1, top) : top]
  }
  if (unit === 'bool') return [0, 1.05]
  const base = low < 0 ? low * 1.1 : unit === 'celsius' && low > 15 ? Math.max(0, low - 8) : 0
  if (unit === 'ratio' && high > 0.4 && high <= 1.02) return [base, 1]
  const top = high <= 0 ? 1 : high * 1.15
  return [base, unit === 'ratio' ? Math.max(top, 0.02) : top]
}

/** sparkPath draws values in a box as an SVG path; nulls are pauses. */
export function sparkPath(values: Values, width: number, height: number, top: number, slots: number): { line: string; area: string } {
  let line = ''
  let area = ''
  let begin: string | null = null
  let last = ''
  const dx = width / Math.max(1, slots - 1)
  const offset = slots - values.length
  values.forEach((v, i) => {
    if (v === null || v === undefined || !Number.isFinite(v)) {
      if (begin !== null) area += `L${last} ${height}L${begin} ${height}Z`
      begin = null
      return
    }
    const x = ((offset + i) * dx).toFixed(1)
    const y = (height - 1 - Math.min(1, Math.max(0, v / top)) * (height - 2)).toFixed(1)
    // A reading alone is a dot: a line of no length with round ends.
    line += begin === null ? `M${x} ${y}h0` : `L${x} ${y}`
    area += `${begin === null ? 'M' : 'L'}${x} ${y}`
    if (begin === null) begin = x
    last = x
  })
  if (begin !== null) area += `L${last} ${height}L${begin} ${height}Z`
  return { line, area }
}

/** at answers the value of a row at or just before an index of the axis. */
export function at(row: Values, index: number): number | null {
  for (let i = index; i >= 0 && i > index - 4; i--) {
    if (row[i] === null) return null
    if (row[i] !== undefined) return row[i] as number
  }
  return null
}
