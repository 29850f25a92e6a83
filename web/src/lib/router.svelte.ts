// Where the page is: the path below the base, and the query.
const base = new URL(document.baseURI).pathname

function pathNow(): string {
  const path = location.pathname
  return decodeURI(path.startsWith(base) ? path.slice(base.length) : path.slice(1)).replace(/\/+$/, '')
}

class Router {
  path = $state(pathNow())
  query = $state.raw(new URLSearchParams(location.search))
  parts = $derived(this.path.split('/'))

  constructor() {
    addEventListener('popstate', () => this.read())
    document.addEventListener('click', (e) => this.follow(e))
  }

  go(path: string, replace = false) {
    const url = new URL(path, document.baseURI)
    if (url.href === location.href) return
    if (replace) history.replaceState(null, '', url)
    else {
      history.pushState(null, '', url)
      scrollTo(0, 0)
    }
    this.read()
  }

  /** set changes parameters of the query in place; '' removes one. */
  set(changes: Record<string, string>) {
    const query = new URLSearchParams(this.query)
    for (const [k, v] of Object.entries(changes)) {
      if (v) query.set(k, v)
      else query.delete(k)
    }
    const text = query.toString()
    this.go(this.path + (text ? '?' + text : ''), true)
  }

  private read() {
    this.path = pathNow()
    this.query = new URLSearchParams(location.search)
  }

  /** follow keeps clicks on our own links in the page. */
  private follow(e: MouseEvent) {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
    const link = (e.target as Element).closest?.('a')
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return
    if (!link.pathname.startsWith(base) || link.pathname.startsWith(base + 'api/')) return
    e.preventDefault()
    this.go(link.pathname.slice(base.length) + link.search)
  }
}

export const router = new Router()
