// How our charts look in uPlot.
import type uPlot from 'uplot'
import { value } from '../lib/format'
import { extent } from '../lib/series'

export interface Threshold {
  value: number
  label: string
  severity: 'warning' | 'critical'
}

export interface Marker {
  at: number // ms
  label: string
  tone: 'warning' | 'critical' | 'ok' | 'plain'
}

export interface Look {
  unit: string
  from: number
  to: number
  thresholds: Threshold[]
  markers: Marker[]
  close: boolean
}

export const colours = 8

/** css reads a colour of the theme, for the canvas. */
export const css = (name: string) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()

const font = '11px ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif'
const pad = (n: number) => String(n).padStart(2, '0')

function times(_: uPlot, splits: number[], __: number, ___: number, incr: number): string[] {
  let day = ''
  return splits.map((s) => {
    const d = new Date(s * 1000)
    const date = `${d.getDate()} ${d.toLocaleString('en', { month: 'short' })}`
    if (incr >= 86400) return date
    const hour = `${pad(d.getHours())}:${pad(d.getMinutes())}${incr < 60 ? ':' + pad(d.getSeconds()) : ''}`
    const fresh = day !== '' && day !== date && d.getHours() === 0 && d.getMinutes() === 0
    day = date
    return fresh ? date : hour
  })
}

const binary = Array.from({ length: 50 }, (_, i) => 2 ** i)
const ratios = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10]

export function axes(look: Look): uPlot.Axis[] {
  const common = { stroke: css('text-3'), font, grid: { stroke: css('line'), width: 1 }, ticks: { show: false } }
  return [
    { ...common, values: times, grid: { show: false }, space: 64, size: 26, gap: 6 },
    {
      ...common,
      values: (_, splits) => splits.map((v) => (look.unit === 'bool' ? (v === 0 ? 'no' : v === 1 ? 'yes' : '') : value(v, look.unit))),
      size: 58,
      gap: 6,
      space: 34,
      incrs: look.unit.startsWith('bytes') ? binary : look.unit === 'ratio' ? ratios : look.unit === 'bool' ? [1] : undefined,
    },
  ]
}

export function scales(look: () => Look): uPlot.Scales {
  return {
    x: { time: true, range: () => [look().from / 1000, look().to / 1000] },
    y: {
      range: (_, low, high) => {
        const shown = look().thresholds.map((t) => t.value)
        // A threshold far above the data would flatten it: then it is only named.
        const near = shown.filter((v) => v <= Math.max(high, 0) * 4 || look().unit === 'ratio')
        return extent(Math.min(low ?? 0, ...near), Math.max(high ?? 1, ...near), look().unit, look().close)
      },
    },
  }
}

/** annotate draws the thresholds and the markers over the series. */
export function annotate(u: uPlot, look: Look) {
  const { ctx, bbox } = u
  const dpr = devicePixelRatio
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
  ctx.clip()
  ctx.lineWidth = dpr
  ctx.font = font.replace('11px', `${10.5 * dpr}px`)
  for (const t of look.thresholds) {
    const y = Math.round(u.valToPos(t.value, 'y', true))
    if (y < bbox.top - 1 || y > bbox.top + bbox.height) continue
    const colour = css(t.severity === 'critical' ? 'critical' : 'warning-fill')
    ctx.strokeStyle = colour
    ctx.fillStyle = css(t.severity)
    ctx.setLineDash([4 * dpr, 4 * dpr])
    line(ctx, bbox.left, y, bbox.left + bbox.width, y)
    // Below its line is right when there is no room above it, or another
    // threshold has its name there.
    const above = look.thresholds.some((o) => o !== t && Math.abs(u.valToPos(o.value, 'y', true) - y) < 34 * dpr && o.value > t.value)
    const low = above || y - bbox.top < 16 * dpr
    const aside = low && look.thresholds.some((o) => o.value < t.value && u.valToPos(o.value, 'y', true) - y < 34 * dpr)
    ctx.textAlign = aside ? 'right' : 'left'
    ctx.textBaseline = low ? 'top' : 'bottom'
    ctx.fillText(`${t.label} ${value(t.value, look.unit)}`, aside ? bbox.left + bbox.width - 6 * dpr : bbox.left + 6 * dpr, y + (low ? 3 : -3) * dpr)
  }
  for (const m of look.markers) {
    const x = Math.round(u.valToPos(m.at / 1000, 'x', true))
    const colour = css(m.tone === 'plain' ? 'text-3' : m.tone === 'warning' ? 'warning-fill' : m.tone)
    ctx.strokeStyle = ctx.fillStyle = colour
    ctx.setLineDash([])
    line(ctx, x, bbox.top, x, bbox.top + bbox.height)
    ctx.beginPath()
    ctx.moveTo(x - 4 * dpr, bbox.top)
    ctx.lineTo(x + 4 * dpr, bbox.top)
    ctx.lineTo(x, bbox.top + 6 * dpr)
    ctx.fill()
    const right = x > bbox.left + bbox.width * 0.75
    ctx.textAlign = right ? 'right' : 'left'
    ctx.textBaseline = 'bottom'
    const at = x + (right ? -6 : 6) * dpr
    const wide = ctx.measureText(m.label).width + 6 * dpr
    ctx.globalAlpha = 0.85
    ctx.fillStyle = css('surface')
    ctx.fillRect(right ? at - wide + 3 * dpr : at - 3 * dpr, bbox.top + bbox.height - 18 * dpr, wide, 15 * dpr)
    ctx.globalAlpha = 1
    ctx.fillStyle = css(m.tone === 'plain' ? 'text-2' : m.tone)
    ctx.fillText(m.label, at, bbox.top + bbox.height - 4 * dpr)
  }
  ctx.restore()
}

function line(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number) {
  ctx.beginPath()
  ctx.moveTo(x0, y0)
  ctx.lineTo(x1, y1)
  ctx.stroke()
}
