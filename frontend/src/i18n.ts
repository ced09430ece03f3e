import { createI18n } from 'vue-i18n'

import en from './locales/en'
import zh from './locales/zh-CN'

export type Language = 'zh-CN' | 'en'
const KEPT = 'yaoshi.language'
export const i18n = createI18n<false>({
  legacy: false,
  locale: 'zh-CN',
  messages: { 'zh-CN': zh, en },
  missingWarn: false,
  fallbackWarn: false,
  datetimeFormats: {
    'zh-CN': { long: { dateStyle: 'long', timeStyle: 'short' } },
    en: { long: { dateStyle: 'long', timeStyle: 'short' } },
  },
})

/** The reader's choice, else the browser's first language that we speak, else Chinese. */
export function preferred(): Language {
  const kept = localStorage.getItem(KEPT)
  if (kept === 'zh-CN' || kept === 'en') return kept
  const known = navigator.languages.map((one) => one.slice(0, 2)).find((one) => one === 'zh' || one === 'en')
  return known === 'en' ? 'en' : 'zh-CN'
}

export const language = (): Language => i18n.global.locale.value as Language

/** Follow a choice that was made in another tab. */
export function follow(): void {
  addEventListener('storage', (event) => event.key === KEPT && speak(preferred()))
}

/** Speak `chosen` from now on; the choice is kept when a person made it. */
export function speak(chosen: Language, keep = false): void {
  i18n.global.locale.value = chosen
  document.documentElement.lang = chosen
  if (keep) localStorage.setItem(KEPT, chosen)
}
