/** What the tabs of one browser tell each other, and how they take turns. In Node there is one. */

const NAME = 'yaoshi'

/** Run `act` while no other tab of this origin does; where there are no locks, at once. */
export async function inTurn<T>(act: () => Promise<T>): Promise<T> {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks
  if (!locks) return act()
  const done: { value?: T } = {}
  await locks.request(NAME, async () => {
    done.value = await act()
  })
  return done.value as T
}

/** `changed`: sessions ended that may be ours; whoever shows somebody asks again. */
export type News = 'signed-in' | 'signed-out' | 'changed'

/** Tells other tabs, and hears them. */
export class Tabs {
  readonly #channel: BroadcastChannel | undefined

  constructor(heard: (news: News) => void) {
    // In Node an open channel would keep the process alive.
    if (typeof document === 'undefined' || typeof BroadcastChannel === 'undefined') return
    this.#channel = new BroadcastChannel(NAME)
    this.#channel.onmessage = (event: MessageEvent<News>) => heard(event.data)
  }

  tell(news: News): void {
    this.#channel?.postMessage(news)
  }

  close(): void {
    this.#channel?.close()
  }
}
