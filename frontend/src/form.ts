import { Problem, Unreachable } from '@yaoshi/client'
import { nextTick, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'

import { i18n } from './i18n'

/** Where something is done the place to go on from is what says so: its button is gone, and the focus with it. */
export const vFocus = { mounted: (note: HTMLElement) => note.focus() }

export interface Sending {
  /** Whether an answer is awaited. */
  busy: Ref<boolean>
  /** What the server refused; fields take their own sentences from it. */
  problem: ShallowRef<Problem | undefined>
  /** Whether no answer came; `again` then repeats what was tried. */
  lost: Ref<boolean>
  /** The sentence about a field, empty when nothing is wrong with it. */
  about(field: string): string
  /** The sentence for the whole form: what belongs to none of `fields`. */
  general(fields: string[]): string
  /** Do something on the server; undefined when it was refused, or given up for something else. */
  send<T>(act: () => Promise<T>): Promise<T | undefined>
  again(): void
}

/** What every form does: one request at a time, refusals beside their fields, a lost connection told and repeatable. */
export function useSending(): Sending {
  const busy = ref(false)
  const problem = shallowRef<Problem>()
  const lost = ref(false)
  let decide: ((again: boolean) => void) | undefined
  // The server's sentence is in the language of then.
  watch(i18n.global.locale, () => (problem.value = undefined))

  async function send<T>(act: () => Promise<T>): Promise<T | undefined> {
    if (busy.value) return undefined
    decide?.(false)
    const form = document.activeElement?.closest('form') ?? document
    for (;;) {
      busy.value = true
      problem.value = undefined
      lost.value = false
      try {
        return await act()
      } catch (error) {
        if (error instanceof Problem) {
          problem.value = error
          void nextTick(() => form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus())
          return undefined
        }
        if (!(error instanceof Unreachable)) throw error
        lost.value = true
      } finally {
        busy.value = false
      }
      // Who asked goes on waiting: a second try that gets through is as good as a first.
      if (!(await new Promise<boolean>((resolve) => (decide = resolve)))) return undefined
    }
  }

  return {
    busy,
    problem,
    lost,
    about: (field) => problem.value?.about(field) ?? '',
    general(fields) {
      const found = problem.value
      if (!found) return ''
      const others = found.errors.filter((fault) => !fields.includes(fault.field))
      return found.errors.length ? others.map((fault) => fault.msg).join(' ') : found.msg
    },
    send,
    again: () => decide?.(true),
  }
}
