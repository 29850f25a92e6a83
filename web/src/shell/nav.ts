// The places of the page, as the navigation lists them.
import type { IconName } from '../parts/Icon.svelte'

export interface Place {
  path: string
  name: string
  icon: IconName
}

export const places: Place[][] = [
  [
    { path: '', name: 'Overview', icon: 'overview' },
    { path: 'incidents', name: 'Incidents', icon: 'incidents' },
    { path: 'patrol', name: 'Patrol', icon: 'patrol' },
    { path: 'resources', name: 'Resources', icon: 'resources' },
    { path: 'hosts', name: 'Hosts', icon: 'hosts' },
    { path: 'workloads', name: 'Workloads', icon: 'workloads' },
    { path: 'checks', name: 'Checks', icon: 'checks' },
  ],
  [
    { path: 'channels', name: 'Channels', icon: 'channels' },
    { path: 'models', name: 'Models', icon: 'models' },
    { path: 'system', name: 'System', icon: 'system' },
    { path: 'audit', name: 'Audit', icon: 'audit' },
    { path: 'settings', name: 'Settings', icon: 'settings' },
  ],
]

/** first are those that a phone keeps at its lower edge. */
export const first = places[0].slice(0, 4)

export function isHere(place: string, path: string): boolean {
  const head = path.split('/')[0]
  return head === place || (place === 'incidents' && head === 'findings') || (place === 'workloads' && head === 'actions')
}
