import './style.css'

import { createApp } from 'vue'

import App from './App.vue'
import { follow, i18n, preferred, speak } from './i18n'
import { router } from './router'

speak(preferred())
follow()
createApp(App).use(i18n).use(router).mount('#app')
