// What a metric's permanent name says about how to draw it.
import { words } from './format'

const suffixes = ['bytes_per_s', 'per_s', 'ratio', 'bytes', 'seconds', 'celsius', 'watts', 'rpm', 'count', 'total', 'hours', 'bits']

const odd: Record<string, string> = {
  container_running: 'bool', check_up: 'bool', collector_up: 'bool', unit_active: 'bool', net_carrier: 'bool',
  clock_synchronised: 'bool', disk_smart_passed: 'bool', load1: 'load', load5: 'load', load15: 'load',
}

export function unitOf(metric: string): string {
  if (odd[metric]) return odd[metric]
  const found = suffixes.find((s) => metric.endsWith('_' + s))
  return found === 'total' ? 'count' : (found ?? 'count')
}

/** label reads a metric's name without its unit: "memory_used_ratio" is "memory used". */
export function label(metric: string): string {
  const known: Record<string, string> = { load1: '1 min', load5: '5 min', load15: '15 min' }
  if (known[metric]) return known[metric]
  const suffix = suffixes.find((s) => metric.endsWith('_' + s))
  const bare = suffix ? metric.slice(0, -suffix.length - 1) : metric
  return bare.replace(/^(net|fs|disk|container|check|gpu|array|pool|collector|process|service|unit)_/, '')
    .split('_')
    .map((w) => words(w))
    .join(' ')
}

/** A Group is one chart: metrics that are read together and share a unit. */
export interface Group {
  title: string
  metrics: string[]
  unit: string
  stacked?: boolean
}

const known: { title: string; metrics: string[]; stacked?: boolean }[] = [
  { title: 'CPU busy', metrics: ['cpu_busy_ratio'] },
  { title: 'CPU of one core', metrics: ['container_cpu_ratio'] },
  { title: 'Memory', metrics: ['memory_used_ratio', 'swap_used_ratio'] },
  { title: 'Memory', metrics: ['container_memory_bytes', 'container_memory_limit_bytes'] },
  { title: 'Memory of its limit', metrics: ['container_memory_used_ratio'] },
  { title: 'Space used', metrics: ['fs_used_ratio', 'fs_inodes_used_ratio'] },
  { title: 'Space', metrics: ['fs_size_bytes', 'fs_available_bytes'] },
  { title: 'Up', metrics: ['check_up'] },
  { title: 'Duration', metrics: ['check_duration_seconds'] },
  { title: 'Load', metrics: ['load1', 'load5', 'load15'] },
  { title: 'Pressure, some waiting', metrics: ['pressure_some_ratio'] },
  { title: 'CPU by mode', metrics: ['cpu_mode_ratio'] },
  { title: 'Cores', metrics: ['cpu_core_busy_ratio'] },
  { title: 'Throughput', metrics: ['disk_read_bytes_per_s', 'disk_write_bytes_per_s'] },
  { title: 'Operations', metrics: ['disk_reads_per_s', 'disk_writes_per_s'] },
  { title: 'Traffic', metrics: ['net_receive_bytes_per_s', 'net_transmit_bytes_per_s'] },
  { title: 'Packets', metrics: ['net_receive_packets_per_s', 'net_transmit_packets_per_s'] },
  { title: 'Errors', metrics: ['net_receive_errors_per_s', 'net_transmit_errors_per_s'] },
  { title: 'Drops', metrics: ['net_receive_drops_per_s', 'net_transmit_drops_per_s'] },
  { title: 'Network', metrics: ['container_net_receive_bytes_per_s', 'container_net_transmit_bytes_per_s'] },
  { title: 'Block I/O', metrics: ['container_block_read_bytes_per_s', 'container_block_write_bytes_per_s'] },
  { title: 'Replicas', metrics: ['service_desired_count', 'service_running_count'] },
  { title: 'GPU', metrics: ['gpu_busy_ratio', 'gpu_memory_used_ratio'] },
  { title: 'Temperature', metrics: ['temperature_celsius'] },
  { title: 'Memory in bytes', metrics: ['memory_total_bytes', 'memory_available_bytes', 'memory_cached_bytes'] },
  { title: 'Swap traffic', metrics: ['swap_in_bytes_per_s', 'swap_out_bytes_per_s'] },
  { title: 'Processes', metrics: ['processes_count', 'processes_running_count', 'processes_blocked_count', 'processes_zombie_count'] },
  { title: 'Top processes, CPU', metrics: ['process_cpu_ratio'] },
  { title: 'Top processes, memory', metrics: ['process_memory_bytes'] },
]

/** groups arranges the metrics of a resource into charts: the known ones first, the rest one each. */
export function groups(metrics: string[]): Group[] {
  const left = new Set(metrics)
  const charts: Group[] = []
  for (const k of known) {
    const have = k.metrics.filter((m) => left.has(m))
    if (!have.length) continue
    have.forEach((m) => left.delete(m))
    charts.push({ ...k, metrics: have, unit: unitOf(have[0]) })
  }
  for (const m of [...left].sort()) {
    const title = label(m)
    charts.push({ title: title.charAt(0).toUpperCase() + title.slice(1), metrics: [m], unit: unitOf(m) })
  }
  return charts
}

const shortLabels = new Set(['mode', 'what', 'core', 'sensor', 'process', 'fan', 'pid'])

/** seriesName tells the series of one chart apart. */
export function seriesName(metric: string, labels: Record<string, string> | undefined, alone: boolean): string {
  const parts = Object.entries(labels ?? {})
    .filter(([k]) => k !== 'host' && k !== 'resource' && k !== 'pid' && k !== '__name__')
    .map(([k, v]) => (shortLabels.has(k) ? (k === 'core' ? 'core ' + v : v) : `${k} ${v}`))
  if (!parts.length) return label(metric)
  return alone ? parts.join(' ') : `${label(metric)} ${parts.join(' ')}`
}
