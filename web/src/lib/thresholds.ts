// The lines a chart of evidence is judged against. Pure.
import type { Threshold } from '../parts/plot'
import type { Detector, Finding } from './types'

/** evidenceThresholds takes the threshold that the finding itself names, or
 * else those of its detector that are in the chart's unit. */
export function evidenceThresholds(f: Finding, detector: Detector | undefined, unit: string): Threshold[] {
  const own = Object.entries(f.facts ?? {}).filter(([k, v]) => /^(threshold|.*_threshold|limit)$/.test(k) && Number.isFinite(Number(v)) && v !== '')
  const fits = (detector?.thresholds ?? []).filter((t) => t.unit === unit && !/clear|hold|window|min_/.test(t.name))
  if (!fits.length && own.length === 1) return [{ value: Number(own[0][1]), label: 'threshold', severity: f.severity }]
  return fits.map((t) => {
    const severity = /crit/.test(t.name) || (fits.length === 1 && f.severity === 'critical') ? 'critical' : 'warning'
    return { value: t.value ?? t.default, label: t.name.replaceAll('_', ' '), severity }
  })
}
