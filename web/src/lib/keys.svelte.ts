// The keyboard. Pages bind keys for as long as they are shown.
import { router } from './router.svelte'
import { theme } from './theme.svelte'

export const help = $state({ open: false })

export const places: [string, string, string][] = [
  ['o', '', 'Overview'],
  ['i', 'incidents', 'Incidents'],
  ['p', 'patrol', 'Patrol'],
  ['r', 'resources', 'Resources'],
  ['h', 'hosts', 'Hosts'],
  ['w', 'workloads', 'Workloads'],
  ['c', 'checks', 'Checks'],
  ['n', 'channels', 'Channels'],
  ['m', 'models', 'Models'],
  ['s', 'system', 'System'],
  ['u', 'audit', 'Audit'],
  [',', 'settings', 'Settings'],
]

type Handler = (e: KeyboardEvent) => boolean | void
const bound: { key: string; f: Handler }[] = []
let going = 0

/** bind makes a key do something while the component is there; false hands on. */
export function bind(key: string, f: Handler) {
  $effect(() => {
    const entry = { key, f }
    bound.unshift(entry)
    return () => void bound.splice(bound.indexOf(entry), 1)
  })
}

function typing(target: EventTarget | null): boolean {
  const e = target as HTMLElement | null
  return Boolean(e?.closest?.('input, textarea, select, [contenteditable]'))
}

/** walk moves the focus through the rows that can be opened. */
function walk(by: number) {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')].filter((r) => r.offsetParent !== null)
  if (!rows.length) return
  const here = rows.findIndex((r) => r.contains(document.activeElement))
  const next = here < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, here + by))
  rows[next].focus()
  rows[next].scrollIntoView({ block: 'nearest' })
}

function general(key: string): boolean {
  switch (key) {
    case 'j':
    case 'k':
      walk(key === 'j' ? 1 : -1)
      return true
    case '?':
      help.open = !help.open
      return true
    case 't':
      theme.toggle()
      return true
    case '/': {
      const search = document.querySelector<HTMLInputElement>('main input[type=search]')
      if (search) search.select()
      else router.go('resources?focus=search')
      return true
    }
    case 'g':
      going = Date.now()
      return true
  }
  return false
}

export function listen() {
  addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return
    if (typing(e.target)) {
      if (e.key === 'Escape') (e.target as HTMLElement).blur()
      return
    }
    if (document.querySelector('dialog[open]')) return
    if (Date.now() - going < 1200) {
      going = 0
      const place = places.find(([k]) => k === e.key)
      if (place) {
        e.preventDefault()
        router.go(place[1])
        return
      }
    }
    for (const b of [...bound]) {
      if (b.key === e.key && b.f(e) !== false) {
        e.preventDefault()
        return
      }
    }
    if (general(e.key)) e.preventDefault()
  })
}
