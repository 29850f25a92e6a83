// The filters of the resources list, as they stand in the address. Pure.
import { kinds } from '../../lib/kinds'

export interface ResourceFilters {
  q: string
  kind: string
  host: string
  label: string
  presence: string
  sort: string
}

export function resourceFilters(query: URLSearchParams): ResourceFilters {
  const of = (name: string) => query.get(name) ?? ''
  return { q: of('q'), kind: of('kind'), host: of('host'), label: of('label'), presence: of('presence'), sort: of('sort') || 'name' }
}

/** everything is the filter that also shows the parts of Reeve, which the
 * list leaves out as long as nobody looks for them. */
export const everything = 'everything'

export function resourcesPath(f: ResourceFilters): string {
  const query = new URLSearchParams()
  for (const [name, text] of Object.entries(f)) if (text && text !== everything) query.set(name, text)
  if (!f.kind && !f.q) for (const k of kinds) if (k !== 'component') query.append('kind', k)
  return 'resources?' + query
}

/** typed splits what was typed into free text and labels: "web project=shop". */
export function typed(text: string): { q: string; label: string } {
  const parts = text.split(/\s+/)
  const label = parts.find((p) => /^[\w./-]+=[^=]+$/.test(p)) ?? ''
  return { q: parts.filter((p) => p !== label).join(' ').trim(), label }
}

/** sorted flips a column that is sorted by already. */
export const sorted = (now: string, column: string) => (now === column ? '-' + column : column)
