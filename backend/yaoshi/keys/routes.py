"""The door where other services fetch the keys that verify access tokens."""

from typing import Any

from flask import Response, after_this_request
from pydantic import BaseModel, Field

from yaoshi.core.types import Caller
from yaoshi.keys.ring import KeyRing
from yaoshi.web.endpoint import Routes, public, use

routes = Routes("/.well-known")


class KeySetOut(BaseModel):
    """A JWK set."""

    keys: list[dict[str, Any]] = Field(description="Public keys, the newest first; empty where HS256 is in use.")


@routes.door("GET", "/jwks.json", guard=public, gives=KeySetOut)
def key_set(caller: Caller) -> KeySetOut:
    """Fetch the public keys.

    A key is listed before it signs, for longer than this answer may be kept, and until its last token is over.
    """
    ring = use(KeyRing)

    def keep(response: Response) -> Response:
        response.headers["Cache-Control"] = f"public, max-age={ring.keep_seconds}"
        return response

    after_this_request(keep)
    return KeySetOut(keys=ring.published())
