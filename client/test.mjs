// The packed client in Node against a real server: `node test.mjs http://127.0.0.1:5000`. Run by test_pages.py.
import assert from 'node:assert/strict'

import { Client, Problem, Unreachable, memory } from '@yaoshi/client'

const base = process.argv[2]
const language = () => 'en'
const password = 'Secret123'
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
// Every refresh is counted, takes a while, and may be held up; no two of one session go on at once.
let [refreshes, underWay, gate] = [0, 0, Promise.resolve()]
async function watched(url, init) {
  if (!url.endsWith('/refresh')) return fetch(url, init)
  refreshes += 1
  underWay += 1
  assert.equal(underWay, 1, 'two refreshes at once')
  const answer = await fetch(url, init)
  await sleep(2)
  await gate
  underWay -= 1
  return answer
}
const made = (options) => new Client({ base, language, fetch: watched, ...options })
// Time goes by when the test says so.
let skipped = 0
const evenly = performance.now.bind(performance)
performance.now = () => evenly() + skipped
const minutes = (number) => (skipped += number * 60_000)

const store = memory()
const one = made({ store })
await one.register({ username: 'node', email: 'node@example.com', password })
await assert.rejects(one.register({ username: '', email: 'x', password: 'weak' }), (error) => {
  assert.ok(error instanceof Problem && error.status === 400 && error.code === 'invalid_request')
  assert.match(error.about('email'), /not a valid/)
  assert.equal(error.about('phone'), '')
  return true
})
await assert.rejects(one.login({ username: 'node', password: 'Wrong1234' }), { code: 'wrong_credentials' })
assert.equal(await one.me(), undefined)
const news = []
one.onNews((said) => news.push(said))
assert.equal((await one.login({ username: 'node', password })).username, 'node')
assert.equal((await one.me()).email, 'node@example.com')

// Two that share a store, as two tabs do: over fifty ends of their access tokens together, and neither is out.
const two = made({ store })
assert.ok(await two.me())
for (let round = 1; round <= 50; round += 1) {
  refreshes = 0
  minutes(16)
  const held = await Promise.all([one.me(), two.me(), one.sessions(), two.sessions()])
  assert.ok(held.every(Boolean))
  assert.equal(refreshes, 2, 'one refresh of each')
}

// A machine's clock that is set ten minutes wrong, either way, brings no renewal on and holds none up.
const honest = Date.now
for (const wrong of [-10, 10]) {
  refreshes = 0
  Date.now = () => honest() + skipped + wrong * 60_000
  assert.ok(await one.me())
  minutes(8)
  assert.ok(await one.me())
  assert.equal(refreshes, 0)
  minutes(8)
  assert.ok(await one.me())
  assert.equal(refreshes, 1)
}
Date.now = honest

// Whoever signs in or out has the last word, however late a renewal is answered.
await one.register({ username: 'ben', email: 'ben@example.com', password })
async function during(act) {
  let open
  gate = new Promise((resolve) => (open = resolve))
  const renewal = one.renewNow()
  while (!underWay) await sleep(1)
  const acted = act()
  await Promise.race([acted, sleep(100)])
  open()
  await Promise.all([renewal, acted])
}
await during(() => one.login({ username: 'ben', password }))
assert.equal((await one.me()).username, 'ben')
for (const out of [() => one.logout(), () => one.logoutAll(), () => one.changePassword(password, 'Secret124')]) {
  await one.login({ username: 'ben', password })
  await during(out)
  assert.equal(store.get(), null)
  assert.equal(await one.me(), undefined)
}
// Where another tab, without locks, signs in meanwhile, its session is the one that counts.
await one.login({ username: 'node', password })
const elsewhere = await (await fetch(`${base}/api/auth/login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ username: 'ben', password: 'Secret124' }) })).json()
await during(async () => store.set(elsewhere.refresh_token))
assert.equal((await one.me()).username, 'ben')
await one.login({ username: 'node', password })
news.length = 0
news.push('signed-in')

// Offline and back: told as what it is, and nothing is lost by it.
let offline = true
const three = made({ store, fetch: (...call) => (offline ? Promise.reject(new TypeError('offline')) : watched(...call)) })
await assert.rejects(three.me(), Unreachable)
await assert.rejects(made({ base: `${base}/healthz` }).options(), (error) => error instanceof Problem || error instanceof Unreachable)
offline = false
assert.ok(await three.me())

// A stranger costs one question, and one that hangs ends.
const asked = []
const stranger = made({ way: 'cookie', fetch: (...call) => (asked.push(call[0]), fetch(...call)) })
assert.equal(await stranger.me(), undefined)
assert.deepEqual(asked, [`${base}/api/auth/refresh`])
const hang = (_url, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
const awake = setTimeout(() => undefined, 60_000) // Node ends where only a time-out is waited for
await assert.rejects(made({ way: 'cookie', timeout: 50, fetch: hang }).me(), Unreachable)
clearTimeout(awake)

// Who gives a call up is told so, and not that the server is away.
const given = new AbortController()
const waiting = one.fetch(`${base}/healthz`, { signal: given.signal })
given.abort()
await assert.rejects(waiting, { name: 'AbortError' })

// Nobody is signed out before the server says so.
offline = true
await assert.rejects(three.logout(), Unreachable)
offline = false
assert.ok(await three.me())

// A call of one's own is repeated once after a 401.
assert.equal((await one.fetch(`${base}/api/auth/me`)).status, 200)
assert.equal((await one.endSession((await one.sessions())[0].id)).msg.length > 0, true)
assert.equal(await one.me(), undefined)
await one.login({ username: 'node', password })
await one.logout()
assert.equal(await one.me(), undefined)
assert.deepEqual(news.filter((said, place) => said !== news[place - 1]), ['signed-in', 'signed-out', 'signed-in', 'signed-out'])
for (const client of [one, two, three]) client.close()
console.log('ok')
