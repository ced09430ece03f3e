import { Client, type Options } from '@yaoshi/client'
import { useSignedIn } from '@yaoshi/client/vue'
import { ref } from 'vue'

import { language } from './i18n'

/** The one client of these pages: the cookie way, so that no script holds the refresh token. */
export const client = new Client({ way: 'cookie', language })
export const signedIn = useSignedIn(client)

/** What a page that can't be shown is titled instead. */
export const instead = ref<'lost' | 'refused'>()

/** The rules of this installation, from the server; undefined until they are known. */
export const options = ref<Options>()
let asking: Promise<Options> | undefined

/** Ask for the rules once; a failure is asked again the next time. */
export function rules(): Promise<Options> {
  asking ??= client.options().then(
    (found) => (options.value = found),
    (error: unknown) => {
      asking = undefined
      throw error
    },
  )
  return asking
}
