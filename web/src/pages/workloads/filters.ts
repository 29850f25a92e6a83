// The filters of the list of workloads, as they stand in the address. Pure.
export interface WorkloadFilters {
  q: string
  host: string
  driver: string
  declared: string
  problem: string
}

export function workloadFilters(query: URLSearchParams): WorkloadFilters {
  const of = (name: string) => query.get(name) ?? ''
  return { q: of('q'), host: of('host'), driver: of('driver'), declared: of('declared'), problem: of('problem') }
}

export function workloadsPath(f: WorkloadFilters): string {
  const query = new URLSearchParams()
  for (const [name, text] of Object.entries(f)) if (text) query.set(name, name === 'declared' || name === 'problem' ? 'true' : text)
  return 'workloads?' + query
}
