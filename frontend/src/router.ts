import { guard } from '@yaoshi/client/vue'
import { createRouter, createWebHistory } from 'vue-router'

import AccountPage from './pages/AccountPage.vue'
import DisownPage from './pages/DisownPage.vue'
import ForgotPage from './pages/ForgotPage.vue'
import HomePage from './pages/HomePage.vue'
import NotFoundPage from './pages/NotFoundPage.vue'
import RegisterPage from './pages/RegisterPage.vue'
import SignInPage from './pages/SignInPage.vue'
import VerifyPage from './pages/VerifyPage.vue'
import { signedIn } from './session'

declare module 'vue-router' {
  interface RouteMeta {
    title: string
    signedIn?: boolean
  }
}

export const router = createRouter({
  history: createWebHistory('/console/'),
  routes: [
    { path: '/', component: HomePage, meta: { title: 'home', signedIn: true } },
    { path: '/account', component: AccountPage, meta: { title: 'account', signedIn: true } },
    { path: '/signin', component: SignInPage, meta: { title: 'signIn' } },
    { path: '/register', component: RegisterPage, meta: { title: 'register' } },
    { path: '/forgot', component: ForgotPage, meta: { title: 'forgot' } },
    { path: '/verify', component: VerifyPage, meta: { title: 'verify' } },
    { path: '/disown', component: DisownPage, meta: { title: 'disown' } },
    { path: '/:rest(.*)', component: NotFoundPage, meta: { title: 'notFound' } },
  ],
})

guard(router, signedIn, (to) => ({ path: '/signin', query: to.path === '/' ? {} : { to: to.fullPath } }))
