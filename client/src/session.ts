import { Problem, Unreachable, problemOf } from './problem.js'
import { inTurn } from './tabs.js'

/** Renewed this long before its end, so that no request arrives with a token that is just over. */
const EARLY_MS = 5_000

/** Where the bearer way keeps the refresh token. Tabs that share a store share the session. */
export interface Store {
  get(): string | null
  set(token: string | null): void
}

export interface TokensIn {
  access_token: string
  expires_in: number
  refresh_token?: string | null
}

/** A store that ends with the page or process. */
export function memory(): Store {
  let kept: string | null = null
  return {
    get: () => kept,
    set: (token) => {
      kept = token
    },
  }
}

/** Time that goes on evenly, whatever the machine's clock says or is set to. */
const now = (): number => performance.now()

/** A way to renew: `Session.renew`, or the one that `Session.inTurn` lends. */
export type Renew = () => Promise<boolean>

/** Holds the tokens of one session. Whatever changes them takes turns, in this tab and across tabs. */
export class Session {
  #access: { token: string; until: number } | undefined
  #renewing: Promise<boolean> | undefined
  /** Goes up whenever somebody signs in or out: what was asked before says nothing about afterwards. */
  #changes = 0
  readonly #name: string
  readonly #cookie: boolean
  readonly #store: Store
  readonly #send: (door: string, body: unknown) => Promise<Response>

  constructor(name: string, cookie: boolean, store: Store, send: (door: string, body: unknown) => Promise<Response>) {
    this.#name = name
    this.#cookie = cookie
    this.#store = store
    this.#send = send
  }

  take(tokens: TokensIn): void {
    this.#changes += 1
    this.#access = { token: tokens.access_token, until: now() + tokens.expires_in * 1000 - EARLY_MS }
    if (!this.#cookie) this.#store.set(tokens.refresh_token ?? null)
  }

  /** Forget what this tab holds; with `everywhere` what other tabs share as well. */
  drop(everywhere: boolean): void {
    this.#changes += 1
    this.#access = undefined
    if (everywhere && !this.#cookie) this.#store.set(null)
  }

  /** What signs this session out: in the cookie way nothing, the cookie does. */
  refreshToken(): string | null {
    return this.#cookie ? null : this.#store.get()
  }

  /** Whether somebody was signed in here when it was last known. */
  get isOpen(): boolean {
    return this.#access !== undefined
  }

  /** Return an access token that is good for now, renewed if need be; undefined when nobody is signed in. */
  async token(renew: Renew = () => this.renew()): Promise<string | undefined> {
    if (this.#access && now() < this.#access.until) return this.#access.token
    return (await renew()) ? this.#access?.token : undefined
  }

  /** Trade the refresh token for the next pair; false when the session is over. Throws Unreachable, Problem. */
  renew(): Promise<boolean> {
    this.#renewing ??= this.inTurn((renew) => renew()).finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  /**
   * Run what signs somebody in or out while no renewal is under way, of which the later answer would undo it. Inside,
   * `renew` is the way to renew: `Session.renew` would wait for this very turn.
   */
  inTurn<T>(act: (renew: Renew) => Promise<T>): Promise<T> {
    return inTurn(this.#name, this.#store, () => act(() => this.#renew()))
  }

  async #renew(): Promise<boolean> {
    const [refreshToken, changes] = [this.#store.get(), this.#changes]
    if (!this.#cookie && refreshToken === null) return false
    let answer: Response
    let tokens: TokensIn | undefined
    try {
      answer = await this.#send('refresh', this.#cookie ? undefined : { refresh_token: refreshToken })
      if (answer.ok) tokens = (await answer.json()) as TokensIn
    } catch (error) {
      throw error instanceof Unreachable ? error : new Unreachable(error)
    }
    // Without locks another tab may have signed in or out since: ask for the session of now.
    if (changes !== this.#changes || this.#store.get() !== refreshToken) return this.#renew()
    if (tokens) {
      this.take(tokens)
      return true
    }
    // For a stranger this is the first answer of every visit: no error is made of it, whose stack costs a first page
    // a tenth of its time.
    const problem = answer.status === 401 ? undefined : await problemOf(answer)
    if (!problem || (problem instanceof Problem && problem.code === 'csrf')) {
      this.drop(true)
      return false
    }
    throw problem
  }
}
