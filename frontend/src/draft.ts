import { reactive, watch } from 'vue'

const OURS = 'yaoshi.'
const PREFIX = OURS + 'draft.'

/** Forget what was typed and asked for in this tab: for who leaves a screen that others use as well. */
export function forgetAll(): void {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(OURS)) sessionStorage.removeItem(key)
}

/** Leave something in a form that is opened next. */
export function leaveDraft(name: string, form: Record<string, string>): void {
  sessionStorage.setItem(PREFIX + name, JSON.stringify(form))
}

/**
 * A form that survives a reload or an ended session: kept for this tab, all but what is secret.
 * `forget` is for when it has been sent.
 */
export function useDraft<T extends Record<string, string>>(name: string, empty: T, secret: (keyof T)[]): { form: T; forget(): void } {
  const key = PREFIX + name
  const kept: unknown = JSON.parse(sessionStorage.getItem(key) ?? '{}')
  const form = reactive({ ...empty, ...(kept as Partial<T>) }) as T
  const stop = watch(form, (typed) => {
    const open = Object.fromEntries(Object.entries(typed).filter(([field]) => !secret.includes(field)))
    sessionStorage.setItem(key, JSON.stringify(open))
  })
  return {
    form,
    forget() {
      stop()
      sessionStorage.removeItem(key)
    },
  }
}
