import type { components } from './api.js'
import { Problem, Unreachable, problemOf } from './problem.js'
import { Session, memory, type Renew, type Store, type TokensIn } from './session.js'
import { Tabs, type News } from './tabs.js'

export { Problem, Unreachable, type Fault } from './problem.js'
export { memory, type Store } from './session.js'
export type { News } from './tabs.js'

type Schemas = components['schemas']
export type User = Schemas['UserOut']
export type Options = Schemas['OptionsOut']
export type Device = Schemas['SessionOut']
export type Channel = 'email' | 'phone'
export type Registration = Schemas['RegisterIn']
export interface CodeSent {
  msg: string
  expires_in: number
  /** In development only, whenever a code was made. */
  debug_code?: string
}
export interface Claim {
  identifier: string
  channel: Channel
  contact: string
}
type Said = { msg: string }

export interface ClientOptions {
  /** Where the server is; its own origin when left out. */
  base?: string
  /**
   * `cookie`: no script ever holds the refresh token. `bearer`: it is kept in `store`. Default: `cookie` in pages,
   * `bearer` where there is no document.
   */
  way?: 'cookie' | 'bearer'
  /** In the bearer way: where the refresh token is kept. Default: in memory, which a reload ends. */
  store?: Store
  /** The reader's language at this moment, `zh-CN` or `en`. */
  language?: () => string
  /** After so many milliseconds without an answer the server counts as unreachable. Default: 15,000. */
  timeout?: number
  fetch?: typeof fetch
}

/** Speaks to a Yaoshi server. Every method throws Problem for a refusal, Unreachable when no answer came. */
export class Client {
  readonly #options: Required<Omit<ClientOptions, 'store'>>
  readonly #session: Session
  readonly #tabs: Tabs
  readonly #listeners = new Set<(news: News) => void>()

  constructor(options: ClientOptions = {}) {
    this.#options = {
      base: options.base ?? '',
      way: options.way ?? (typeof document === 'undefined' ? 'bearer' : 'cookie'),
      language: options.language ?? (() => 'zh-CN'),
      timeout: options.timeout ?? 15_000,
      fetch: options.fetch ?? globalThis.fetch.bind(globalThis),
    }
    // What one page holds of two servers, or of one in both ways, has nothing to do with each other.
    const here = (globalThis.location as Location | undefined)?.href ?? 'http://localhost'
    const name = `yaoshi ${this.#options.way} ${new URL(this.#options.base || '/', here).href}`
    this.#session = new Session(name, this.#options.way === 'cookie', options.store ?? memory(), (door, body) =>
      this.#send('POST', `/api/auth/${door}`, body),
    )
    this.#tabs = new Tabs(name, (news) => {
      this.#session.drop(false)
      this.#announce(news)
    })
  }

  /**
   * Hear when somebody signs in or out, here or in another tab, or may have been signed out; returns what ends the
   * hearing.
   */
  onNews(listener: (news: News) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** End what this client holds open. */
  close(): void {
    this.#tabs.close()
    this.#listeners.clear()
  }

  register = (wish: Partial<Registration>): Promise<Said & { user: User }> => this.#post('register', wish)

  login(who: { username: string } & ({ password: string } | { code: string })): Promise<User> {
    return this.#session.inTurn(async () => {
      const body = await this.#post<TokensIn & { user: User }>('login', who)
      this.#session.take(body)
      this.#tell('signed-in')
      return body.user
    })
  }

  sendSignInCode = (identifier: string, channel: Channel): Promise<CodeSent> =>
    this.#post('login/code', { identifier, channel })

  requestResetCode = (claim: Claim): Promise<CodeSent> => this.#post('request-reset-code', claim)

  /** Set a new password; every session of that account is over then, which may be this one. */
  resetPassword = (claim: Claim & { code: string; new_password: string }): Promise<Said> =>
    this.#endingSessions('reset-password', claim)

  /** Act on the link of a notice; every session of that account is over then, which may be this one. */
  disown = (token: string): Promise<Said> => this.#endingSessions('disown', { token })

  options = (): Promise<Options> => this.#answer(this.#send('GET', '/api/auth/options'))

  /** Who is signed in; undefined when nobody is. */
  async me(): Promise<User | undefined> {
    if (!this.#session.isOpen && (await this.token()) === undefined) return undefined
    try {
      return (await this.#own<{ user: User }>('GET', 'me')).user
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return undefined
      throw error
    }
  }

  /** Change the password; every session is over then, this one included. */
  changePassword = (oldPassword: string, newPassword: string): Promise<Said> =>
    this.#endingAll('change-password', { old_password: oldPassword, new_password: newPassword })

  sessions = async (): Promise<Device[]> => (await this.#own<{ items: Device[] }>('GET', 'sessions')).items

  endSession = (id: string): Promise<Said> => this.#own('DELETE', `sessions/${encodeURIComponent(id)}`)

  /** Ask for a code that proves a contact; `ticket` is the one of a refused sign-in. */
  sendContactCode = (channel: Channel, ticket?: string): Promise<CodeSent> =>
    this.#own('POST', `contacts/${channel}/code`, undefined, ticket)

  verifyContact = async (channel: Channel, code: string, ticket?: string): Promise<User> =>
    (await this.#own<{ user: User }>('POST', `contacts/${channel}/verify`, { code }, ticket)).user

  changeContact = (channel: Channel, value: string, password: string, ticket?: string): Promise<CodeSent> =>
    this.#own('PUT', `contacts/${channel}`, { value, password }, ticket)

  /**
   * Sign out here. Only the server can take the cookie back: without its answer nobody is signed out, and this throws.
   */
  async logout(): Promise<void> {
    await this.#session.inTurn(async () => {
      const token = this.#session.refreshToken()
      try {
        await this.#post('logout', token === null ? undefined : { refresh_token: token })
      } catch (error) {
        // Over already is as good as over now.
        if (!(error instanceof Problem && error.status === 401)) throw error
      }
      this.#end()
    })
  }

  logoutAll = (): Promise<Said> => this.#endingAll('logout-all')

  /** An access token for calls of your own; undefined when nobody is signed in. */
  token = (): Promise<string | undefined> => this.#session.token()

  /** Trade the refresh token now; false when the session is over. `token` and every call do it by themselves in time. */
  renewNow = (): Promise<boolean> => this.#session.renew()

  /** `fetch` with the access token, renewed before it ends and once after a 401. For your app's own services. */
  fetch(input: string, init: RequestInit = {}, token?: string): Promise<Response> {
    return this.#fetch(input, init, token, () => this.#session.renew())
  }

  async #fetch(input: string, init: RequestInit, token: string | undefined, renew: Renew): Promise<Response> {
    const send = async (bearer: string | undefined): Promise<Response> => {
      const headers = new Headers(init.headers)
      if (bearer !== undefined) headers.set('Authorization', `Bearer ${bearer}`)
      try {
        return await this.#options.fetch(input, { ...init, headers })
      } catch (error) {
        // Who gave up by choice is told so; whose time ran out had no answer.
        const reason: unknown = init.signal?.aborted ? init.signal.reason : undefined
        if (reason !== undefined && (reason as Error | null)?.name !== 'TimeoutError') throw error
        throw new Unreachable(error)
      }
    }
    if (token !== undefined) return send(token)
    const wasOpen = this.#session.isOpen
    const bearer = await this.#session.token(renew)
    const answer = await send(bearer)
    if (answer.status !== 401) return answer
    if (bearer !== undefined && (await renew())) return send(await this.#session.token(renew))
    if (wasOpen) {
      // Other tabs ask for themselves: one of them may be about to sign in.
      this.#tabs.tell('changed')
      this.#announce('signed-out')
    }
    return answer
  }

  async #own<T>(method: string, door: string, body?: unknown, token?: string, renew?: Renew): Promise<T> {
    const url = `${this.#options.base}/api/auth/${door}`
    return this.#answer(this.#fetch(url, this.#init(method, body), token, renew ?? (() => this.#session.renew())))
  }

  /** Ask for something that ends every session of this account. */
  #endingAll(door: string, body?: unknown): Promise<Said> {
    return this.#session.inTurn(async (renew) => {
      const said = await this.#own<Said>('POST', door, body, undefined, renew)
      this.#end()
      return said
    })
  }

  #post<T>(door: string, body: unknown): Promise<T> {
    return this.#answer(this.#send('POST', `/api/auth/${door}`, body))
  }

  async #endingSessions(door: string, body: unknown): Promise<Said> {
    const said = await this.#post<Said>(door, body)
    this.#session.drop(false)
    this.#tell('changed')
    return said
  }

  async #send(method: string, path: string, body?: unknown): Promise<Response> {
    try {
      return await this.#options.fetch(this.#options.base + path, this.#init(method, body))
    } catch (error) {
      throw new Unreachable(error)
    }
  }

  #init(method: string, body: unknown): RequestInit {
    const headers: Record<string, string> = { 'Accept-Language': this.#options.language() }
    if (this.#options.way === 'cookie') headers['X-Yaoshi-Session'] = 'cookie'
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    const credentials = this.#options.way === 'cookie' ? 'include' : 'omit'
    const signal = AbortSignal.timeout(this.#options.timeout)
    return { method, headers, credentials, signal, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
  }

  async #answer<T>(sent: Promise<Response>): Promise<T> {
    const answer = await sent
    if (!answer.ok) throw await problemOf(answer)
    try {
      return (await answer.json()) as T
    } catch (error) {
      throw new Unreachable(error)
    }
  }

  #end(): void {
    this.#session.drop(true)
    this.#tell('signed-out')
  }

  #tell(news: News): void {
    this.#tabs.tell(news)
    this.#announce(news)
  }

  #announce(news: News): void {
    for (const listener of this.#listeners) listener(news)
  }
}
