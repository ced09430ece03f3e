import { reactive, watch } from 'vue'

/**
 * A form that survives a reload or an ended session: kept for this tab, all but what is secret.
 * `forget` is for when it has been sent.
 */
export function useDraft<T extends Record<string, string>>(name: string, empty: T, secret: (keyof T)[]): { form: T; forget(): void } {
  const key = `yaoshi.draft.${name}`
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
