import { describe, expect, test } from 'vitest'
import { ago, ahead, bytes, clock, duration, factText, factTitle, ratio, since, timeOf, value, words } from './format'

const now = Date.parse('2026-11-22T12:00:00Z')

describe('values read in their unit', () => {
  test.each([
    [0, '0%'], [0.962, '96%'], [0.043, '4.3%'], [0.0995, '10%'], [1, '100%'], [null, '–'],
  ])('ratio %s is %s', (v, text) => expect(ratio(v)).toBe(text))
  test.each([
    [0, '0 B'], [1023, '1023 B'], [1536, '1.5 KiB'], [512e9, '477 GiB'], [undefined, '–'],
  ])('%s bytes are %s', (v, text) => expect(bytes(v)).toBe(text))
  test('a metric follows its unit', () => {
    expect(value(2048, 'bytes_per_s')).toBe('2 KiB/s')
    expect(value(54.25, 'celsius')).toBe('54.3 °C')
    expect(value(1, 'bool')).toBe('yes')
    expect(value(NaN, 'ratio')).toBe('–')
  })
})

describe('durations have two units at most', () => {
  test.each([
    [0.012, '12 ms'], [1.5, '1.5 s'], [59, '59 s'], [60, '1 min'], [3661, '1 h 1 min'], [86400 * 3 + 3600, '3 d 1 h'], [-90, '−1 min'],
  ])('%s s is %s', (s, text) => expect(duration(s)).toBe(text))
})

describe('times', () => {
  test('a time that never was is never', () => {
    expect(ago('0001-01-01T00:00:00Z', now)).toBe('never')
    expect(ago(undefined, now)).toBe('never')
    expect(timeOf('nonsense')).toBeNaN()
  })
  test('ages', () => {
    expect(since('2026-11-22T11:59:58Z', now)).toBe('now')
    expect(since('2026-11-22T11:59:18Z', now)).toBe('42 s')
    expect(ago('2026-11-22T09:30:10Z', now)).toBe('2 h 29 min ago')
    expect(ago('2026-11-12T12:00:00Z', now)).toBe('10 d ago')
    expect(since('2026-11-22T12:00:30Z', now)).toBe('now')
  })
  test('what is ahead', () => {
    expect(ahead('2026-11-22T15:00:00Z', now)).toBe('in 3 h')
    expect(ahead('2026-11-22T11:00:00Z', now)).toBe('now')
  })
  test('the day is named only when it is another', () => {
    const local = new Date(2026, 10, 22, 9, 5, 7).getTime()
    expect(clock(local, local, true)).toBe('09:05:07')
    expect(clock(new Date(2026, 10, 20, 9, 5).getTime(), local)).toBe('20 Nov, 09:05')
  })
})

describe('names and facts', () => {
  test('permanent names become words', () => {
    expect(words('fs_full_soon')).toBe('file system full soon')
    expect(factTitle('memory_total_bytes')).toBe('Memory total')
  })
  test('facts are read in the unit of their name', () => {
    expect(factText('used_ratio', '0.962')).toBe('96%')
    expect(factText('used_ratio', 'soon')).toBe('soon')
    expect(factText('oom_killed', 'false')).toBe('no')
    expect(factText('reason', '')).toBe('–')
  })
})
