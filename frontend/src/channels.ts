import type { Channel } from '@yaoshi/client'
import { computed } from 'vue'

import { options } from './session'

const ORDER: Channel[] = ['phone', 'email']

/** By what this server can send codes; both until its rules are known. */
export const channels = computed(() => ORDER.filter((one) => options.value?.channels.includes(one) ?? true))
