"""A service of your own that knows who calls, by an access token of Yaoshi and nothing else: no call per request."""

import json
import os
import time
from urllib.request import urlopen

from flask import Flask, jsonify, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

URL = os.environ.get("YAOSHI_URL", "http://127.0.0.1:5000") + "/.well-known/jwks.json"
ISSUER = os.environ.get("YAOSHI_ISSUER", "http://localhost")
AUDIENCE = os.environ.get("YAOSHI_AUDIENCE", "yaoshi")
ALGORITHM = os.environ.get("YAOSHI_ALGORITHM", "ES256")
CACHE_SECONDS = float(os.environ.get("YAOSHI_JWKS_CACHE_SECONDS", "300"))
COOLDOWN_SECONDS = 1
CLAIMS = jwt.JWTClaimsRegistry(
    leeway=30,
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    exp={"essential": True},
    sub={"essential": True},
)
app = Flask(__name__)
known = {"keys": KeySet([]), "asked": float("-inf")}


def keys(kid=None):
    """Return the key set, fetched anew when it is old or lacks `kid`, but not at every stranger's word.

    Where it can't be fetched the one at hand goes on: Yaoshi may be restarting.
    """
    age = time.monotonic() - known["asked"]
    lacks = kid is not None and kid not in {key.kid for key in known["keys"].keys}
    if age > CACHE_SECONDS or (lacks and age > COOLDOWN_SECONDS):
        try:
            with urlopen(URL, timeout=5) as answer:
                known["keys"] = KeySet.import_key_set(json.load(answer))
        except (OSError, ValueError) as error:
            app.logger.warning("no new keys: %s", error)
        known["asked"] = time.monotonic()
    return known["keys"]


def user_id(bearer):
    """Return whose access token this is. Raises JoseError, ValueError or TypeError."""
    token = jwt.decode(bearer, lambda found: keys(found.headers().get("kid")), algorithms=[ALGORITHM])
    if token.header.get("typ") != "at+jwt":
        raise ValueError("not an access token")
    CLAIMS.validate(token.claims)
    return token.claims["sub"]


@app.get("/hello")
def hello():
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    try:
        return jsonify(user_id=user_id(bearer if scheme.lower() == "bearer" else ""))
    except (JoseError, ValueError, TypeError):
        return jsonify(msg="Please sign in."), 401


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ.get("PORT", "5001")))
