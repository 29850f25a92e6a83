// The lines a chart of evidence is judged against. Pure.
import type { Threshold } from '../parts/plot'
import type { Detector, Finding } from './types'

// How much of a chart's unit one of a threshold's unit is.
const scales: Record<string, Record<string, number>> = {
  ratio: { ratio: 1, percent: 0.01 },
  seconds: { seconds: 1, milliseconds: 0.001, hours: 3600, days: 86400 },
}

const scale = (chart: string, threshold: string) => scales[chart]?.[threshold] ?? (chart === threshold ? 1 : 0)

/** evidenceThresholds takes those of the finding's detector that are in the
 * chart's unit and say by their name which severity they begin. */
export function evidenceThresholds(f: Finding, detector: Detector | undefined, unit: string): Threshold[] {
  const list: Threshold[] = []
  for (const t of detector?.thresholds ?? []) {
    const factor = scale(unit, t.unit)
    if (!factor || !/^(warning|critical|limit)$/.test(t.name)) continue
    const severity = t.name === 'limit' ? f.severity : (t.name as Threshold['severity'])
    list.push({ value: (t.value ?? t.default) * factor, label: t.name, severity })
  }
  return list
}
