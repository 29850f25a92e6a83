// Who is signed in.
import { csrf, get, problem, send, signedOut, type Problem } from './api'
import type { User } from './types'

interface Answer {
  user?: User | null
  csrf?: string
  needs_password?: boolean
  oidc?: boolean | string
}

class Session {
  state = $state<'loading' | 'in' | 'out' | 'unreachable'>('loading')
  user = $state.raw<User | null>(null)
  /** The account has no password yet: only a one-time link opens it. */
  needsPassword = $state(false)
  /** Whether it is asked for one now: once, on coming in by a link. */
  asksPassword = $state(false)
  oidc = $state('')
  error = $state.raw<Problem | null>(null)

  mayOperate = $derived(this.user?.role === 'operator' || this.user?.role === 'admin')
  mayAdminister = $derived(this.user?.role === 'admin')

  constructor() {
    signedOut.listener = () => {
      if (this.state === 'in') this.state = 'out'
    }
  }

  async load() {
    try {
      this.take(await get<Answer>('session'))
    } catch (thrown) {
      const p = problem(thrown)
      this.error = p
      this.state = p.status === 401 || p.status === 403 ? 'out' : 'unreachable'
    }
  }

  private take(a: Answer | undefined) {
    csrf.token = a?.csrf ?? ''
    this.oidc = a?.oidc === true ? 'api/v1/session/oidc' : typeof a?.oidc === 'string' ? a.oidc : ''
    this.user = a?.user?.name ? a.user : null
    this.needsPassword = Boolean(a?.needs_password)
    this.state = this.user ? 'in' : 'out'
    this.error = null
  }

  async signIn(name: string, password: string) {
    await send('POST', 'session', { name, password })
    await this.load()
  }

  async useLink(token: string) {
    await send('POST', 'session/link', { token })
    await this.load()
    this.asksPassword = this.needsPassword
  }

  async setPassword(password: string) {
    await send('POST', 'session/password', { password })
    this.needsPassword = false
    this.asksPassword = false
  }

  async signOut() {
    await send('DELETE', 'session')
    this.user = null
    csrf.token = ''
    this.state = 'out'
    await this.load()
  }
}

export const session = new Session()
