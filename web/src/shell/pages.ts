// The pages that come in scripts of their own, once somebody goes there. The
// first look, at the overview and the incidents, waits for none of them.
import type { Component } from 'svelte'

type Page = Component<any>
export type Load = () => Promise<{ default: Page }>

const lists: Record<string, Load> = {
  patrol: () => import('../pages/patrol/Page.svelte'),
  models: () => import('../pages/models/Page.svelte'),
  resources: () => import('../pages/resources/Page.svelte'),
  hosts: () => import('../pages/hosts/Page.svelte'),
  workloads: () => import('../pages/workloads/Page.svelte'),
  actions: () => import('../pages/actions/Page.svelte'),
  checks: () => import('../pages/checks/Page.svelte'),
  channels: () => import('../pages/channels/Page.svelte'),
  settings: () => import('../pages/settings/Page.svelte'),
  system: () => import('../pages/system/Page.svelte'),
  audit: () => import('../pages/audit/Page.svelte'),
}

const ones: Record<string, Load> = {
  incidents: () => import('../pages/incident/Page.svelte'),
  findings: () => import('../pages/finding/Page.svelte'),
  patrol: () => import('../pages/patrol/RunPage.svelte'),
  resources: () => import('../pages/resource/Page.svelte'),
  hosts: () => import('../pages/host/Page.svelte'),
  workloads: () => import('../pages/workload/Page.svelte'),
  actions: () => import('../pages/action/Page.svelte'),
}

/** later answers how to load the page of a place; one is whether it is of the
 * one thing that is named, so that another thing is another page. */
export function later(place: string, id: string): { load: Load; one: boolean } | undefined {
  if (id && Object.hasOwn(ones, place)) return { load: ones[place], one: true }
  return Object.hasOwn(lists, place) ? { load: lists[place], one: false } : undefined
}
