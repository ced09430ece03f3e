// A service of your own that knows who calls, by an access token of Yaoshi and nothing else: no call per request.
import express from 'express'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const env = process.env
const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', env.YAOSHI_URL ?? 'http://127.0.0.1:5000'), {
  cacheMaxAge: 1000 * Number(env.YAOSHI_JWKS_CACHE_SECONDS ?? 300), // shorter than a key is published before it signs
  cooldownDuration: 1000, // an unknown key id makes it look again, but not at every stranger's word
})
const checks = {
  issuer: env.YAOSHI_ISSUER ?? 'http://localhost',
  audience: env.YAOSHI_AUDIENCE ?? 'yaoshi',
  algorithms: [env.YAOSHI_ALGORITHM ?? 'ES256'],
  typ: 'at+jwt',
  requiredClaims: ['exp', 'sub'],
  clockTolerance: 30,
}

const app = express()
app.get('/hello', async (request, response) => {
  try {
    const [scheme, bearer] = (request.headers.authorization ?? '').split(' ')
    if (scheme.toLowerCase() !== 'bearer') throw new Error('no bearer token')
    const { payload } = await jwtVerify(bearer, keys, checks)
    response.json({ user_id: payload.sub })
  } catch {
    response.status(401).json({ msg: 'Please sign in.' })
  }
})
app.listen(Number(env.PORT ?? 5002), '127.0.0.1')
