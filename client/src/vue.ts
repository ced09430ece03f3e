import { readonly, ref, type Ref } from 'vue'
import type { RouteLocationNormalized, RouteLocationRaw, Router } from 'vue-router'

import { type Client, Problem, Unreachable, type User } from './index.js'

export interface SignedIn {
  /** Who is signed in: undefined until `ready`, null when nobody is. */
  user: Readonly<Ref<User | null | undefined>>
  /** Ask the server who is signed in; it is asked once until somebody signs in or out. */
  ready(): Promise<User | null>
  /** Ask again, after a change of the account. */
  reload(): Promise<User | null>
}

/** Keep who is signed in, as all tabs know it. Make one for the whole app. */
export function useSignedIn(client: Client): SignedIn {
  const user = ref<User | null>()
  let asking: Promise<User | null> | undefined
  // An answer counts only while nothing has happened since it was asked for: no news, no later question.
  let turn = 0
  const reload = (): Promise<User | null> => {
    const mine = ++turn
    asking = client.me().then(
      (found) => {
        if (mine !== turn) return asking ?? reload()
        user.value = found ?? null
        return user.value
      },
      (error: unknown) => {
        if (mine === turn) asking = undefined
        throw error
      },
    )
    return asking
  }
  client.onNews((news) => {
    turn += 1
    if (news === 'signed-out') {
      user.value = null
      asking = Promise.resolve(null)
    } else void reload().catch(() => undefined)
  })
  const again = (asked: Promise<unknown>): void => void asked.then(reload).catch(() => undefined)
  if (typeof document !== 'undefined') {
    // A tab that slept heard no news, and a session may have ended where no tab tells.
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && user.value) again(Promise.resolve())
    })
    // What a page that comes back from the browser's cache holds may be somebody else's by now.
    addEventListener('pageshow', (event) => event.persisted && again(client.renewNow()))
  }
  return { user: readonly(user) as SignedIn['user'], ready: () => asking ?? reload(), reload }
}

/**
 * Keep strangers from routes with `meta.signedIn`, and send them to `signIn` with the way back in `?to=`.
 * A lost connection, or a server in trouble, lets them through: the page says so itself.
 */
export function guard(router: Router, session: SignedIn, signIn: (to: RouteLocationNormalized) => RouteLocationRaw): void {
  router.beforeEach(async (to) => {
    if (!to.meta.signedIn) return true
    try {
      return (await session.ready()) ? true : signIn(to)
    } catch (error) {
      if (error instanceof Unreachable || error instanceof Problem) return true
      throw error
    }
  })
}
