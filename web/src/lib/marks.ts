// Which mark a finding wears. Pure.
import type { Finding } from './types'

export function markOf(f: Finding): string {
  if (f.state === 'resolved' || f.state === 'closed') return 'done'
  return f.suppression ? 'muted' : f.severity
}
