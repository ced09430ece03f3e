import { computed, type ComputedRef } from 'vue'
import { useRoute } from 'vue-router'

/**
 * The way back to where somebody wanted to be before they had to sign in: `to` in the address, which every page on the
 * way hands on.
 */
export function useWayBack(): { back: ComputedRef<string>; by(path: string): { path: string; query?: { to: string } } } {
  const route = useRoute()
  // Only ways inside these pages: an address of elsewhere in a link must lead nowhere.
  const wanted = computed(() => {
    const to = route.query.to
    return typeof to === 'string' && /^\/(?![/\\])/.test(to) ? to : undefined
  })
  return {
    back: computed(() => wanted.value ?? '/'),
    by: (path) => (wanted.value ? { path, query: { to: wanted.value } } : { path }),
  }
}
