/** What the tabs of one browser tell each other, and how they take turns. In Node there is one. */

const last = new WeakMap<object, Promise<unknown>>()

/**
 * Run `act` while nobody else does who shares `whose`, and no other tab does that takes its turns by `name`. Where there
 * are no locks, as in Node and on pages without TLS, only the former holds.
 */
export function inTurn<T>(name: string, whose: object, act: () => Promise<T>): Promise<T> {
  // Node has locks from version 24 on, but there many clients of one server have nothing to do with each other.
  const locks = globalThis.isSecureContext ? (globalThis.navigator as Navigator | undefined)?.locks : undefined
  const locked = async (): Promise<T> => {
    if (!locks) return act()
    const done: { value?: T } = {}
    await locks.request(name, async () => {
      done.value = await act()
    })
    return done.value as T
  }
  const mine = (last.get(whose) ?? Promise.resolve()).then(locked)
  last.set(
    whose,
    mine.catch(() => undefined),
  )
  return mine
}

/** `changed`: sessions ended that may be ours; whoever shows somebody asks again. */
export type News = 'signed-in' | 'signed-out' | 'changed'

/** Tells other tabs, and hears them. */
export class Tabs {
  readonly #channel: BroadcastChannel | undefined

  constructor(name: string, heard: (news: News) => void) {
    // In Node an open channel would keep the process alive.
    if (typeof document === 'undefined' || typeof BroadcastChannel === 'undefined') return
    this.#channel = new BroadcastChannel(name)
    this.#channel.onmessage = (event: MessageEvent<News>) => heard(event.data)
  }

  tell(news: News): void {
    this.#channel?.postMessage(news)
  }

  close(): void {
    this.#channel?.close()
  }
}
