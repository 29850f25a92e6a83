import { describe, expect, test } from 'vitest'
import { align, at, extent, sparkPath } from './series'
import type { Series } from './types'

const t0 = Date.parse('2026-11-22T12:00:00Z')
const series = (metric: string, steps: [number, number][]): Series => ({
  metric,
  points: steps.map(([s, value]) => ({ at: new Date(t0 + s * 1000).toISOString(), value })),
})

describe('align', () => {
  test('puts two series on one axis', () => {
    const a = align([series('a', [[0, 1], [10, 2], [20, 3]]), series('b', [[5, 7], [15, 8], [25, 9]])])
    expect(a.times.map((t) => t - t0 / 1000)).toEqual([0, 5, 10, 15, 20, 25])
    expect(a.rows[0]).toEqual([1, undefined, 2, undefined, 3, undefined])
  })
  test('breaks the line where nothing was read', () => {
    const a = align([series('a', [[0, 1], [10, 1], [20, 1], [30, 1], [300, 2], [310, 2]])])
    expect(a.rows[0]).toEqual([1, 1, 1, 1, null, 2, 2])
  })
  test('keeps the bounds of rolled series, as points or as numbers', () => {
    const s: Series = { ...series('a', [[0, 5], [10, 6]]), rolled: true, min: [1, 2] }
    s.max = s.points.map((p) => ({ at: p.at, value: p.value * 2 }))
    const a = align([s])
    expect(a.lows[0]).toEqual([1, 2])
    expect(a.highs[0]).toEqual([10, 12])
    expect(align([{ ...s, rolled: false }]).lows[0]).toBeNull()
  })
  test('nothing is nothing', () => expect(align([]).times).toEqual([]))
})

describe('at', () => {
  test('bridges the times of others but no pause', () => {
    expect(at([1, undefined, 2], 1)).toBe(1)
    expect(at([1, null, 2], 1)).toBeNull()
    expect(at([], 0)).toBeNull()
  })
})

describe('extent', () => {
  test('a ratio near its whole shows whole', () => expect(extent(0, 0.6, 'ratio')).toEqual([0, 1]))
  test('a small ratio fills the chart', () => expect(extent(0, 0.1, 'ratio')[1]).toBeCloseTo(0.115))
  test('no data has a scale', () => expect(extent(Infinity, -Infinity, 'bytes')).toEqual([0, 1]))
  test('a close scale leaves out what is far below', () => {
    const [low, high] = extent(0.82, 0.95, 'ratio', true)
    expect(low).toBeGreaterThan(0.7)
    expect(high).toBeLessThanOrEqual(1)
  })
})

describe('sparkPath', () => {
  test('draws a pause as two lines', () => {
    const { line, area } = sparkPath([0, 1, null, 0.5, 0.5], 100, 10, 1, 5)
    expect(line.match(/M/g)).toHaveLength(2)
    expect(area.match(/Z/g)).toHaveLength(2)
  })
  test('newest values end at the right edge', () => expect(sparkPath([1, 1], 100, 10, 1, 11).line).toMatch(/L100.0 /))
  test('nothing known draws nothing', () => expect(sparkPath([null, null], 100, 10, 1, 2)).toEqual({ line: '', area: '' }))
})
