// The built client in Node against a real server: `node test.mjs http://127.0.0.1:5000`. Run by test_pages.py.
import assert from 'node:assert/strict'

import { Client, Problem, Unreachable, memory } from './dist/index.js'

const base = process.argv[2]
const language = () => 'en'
const password = 'Secret123'
const made = (options) => new Client({ base, way: 'bearer', language, ...options })

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

// Two that share a store, as two tabs do: together, over and over, and neither is out.
const two = made({ store })
for (let round = 0; round < 50; round += 1) {
  const held = await Promise.all([one.me(), two.me(), one.sessions(), two.sessions()])
  assert.ok(held.every(Boolean))
  assert.deepEqual(await Promise.all([one.renewNow(), two.renewNow()]), [true, true])
}

// A machine's clock that is wrong by ten minutes, either way, changes nothing: time that goes by is counted.
const honest = Date.now
for (const minutes of [-10, 10]) {
  Date.now = () => honest() + minutes * 60_000
  assert.ok(await one.me())
}
Date.now = honest

// Offline and back: told as what it is, and nothing is lost by it.
let offline = true
const three = made({ store, fetch: (...call) => (offline ? Promise.reject(new TypeError('offline')) : fetch(...call)) })
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
