"""Signing and checking access tokens. The checker depends on no guard rail of the library: one key, one algorithm."""

import base64
import json
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from yaoshi.core.types import Clock
from yaoshi.keys.material import Key, base64url
from yaoshi.keys.ring import KeyRing
from yaoshi.keys.settings import KeySettings

LEEWAY = timedelta(seconds=30)
_MOST_LENGTH = 4096
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USER_ID = re.compile(r"[1-9][0-9]{0,17}")
_CLAIMS = {"iss": str, "aud": str, "sub": str, "sid": str, "iat": int, "exp": int}


class TokenRefused(Exception):
    """The token is not one of ours, or not for now. Why is nobody's business."""


class AccessToken(NamedTuple):
    """What a token that is ours says; instants in whole seconds since 1970."""

    user_id: int
    session_id: str
    issued_at: int
    expires_at: int


class Keys:
    """Signs with the key whose turn it is; verifies with the key that the token names, by that key's own algorithm."""

    def __init__(self, ring: KeyRing, clock: Clock, settings: KeySettings) -> None:
        self._ring, self._clock, self._settings = ring, clock, settings
        self._ours = (settings.public_url, settings.audience)
        self._checked = lru_cache(maxsize=2048)(self._check)
        self._named = lru_cache(maxsize=64)(self._read_header)

    def sign(self, user_id: int, session_id: str, now: datetime, expires_at: datetime) -> str:
        """Return an access token that ends at `expires_at`, cut to whole seconds. Source: RFC 9068 §2."""
        key = self._ring.signer()
        claims = {
            "iss": self._settings.public_url,
            "aud": self._settings.audience,
            "sub": str(user_id),
            "sid": session_id,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
        signed = f"{key.head}.{base64url(orjson.dumps(claims))}"
        return f"{signed}.{base64url(key.arithmetic.sign(signed.encode(), key.material))}"

    def verify(self, token: str) -> AccessToken:
        """Return what a token says that is ours and in its time.

        A small cache skips the signature of strings already checked, never the time and never the key's own end.
        Raises TokenRefused. Source: RFC 8725 §3.
        """
        kid, said = self._checked(token)
        now = self._clock.now().timestamp()
        if said.expires_at <= now or said.issued_at > now + LEEWAY.total_seconds():
            raise TokenRefused()
        if self._ring.verifier(kid) is None:
            raise TokenRefused()
        return said

    def _check(self, token: str) -> tuple[str, AccessToken]:
        if len(token) > _MOST_LENGTH or not _COMPACT.fullmatch(token):
            raise TokenRefused()
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        key = self._named(head)
        if not key.arithmetic.verify(signed.encode(), _decoded(signature), key.material):
            raise TokenRefused()
        claims = _members(_decoded(body))
        if any(type(claims.get(name)) is not kind for name, kind in _CLAIMS.items()):
            raise TokenRefused()
        if (claims["iss"], claims["aud"]) != self._ours or not _USER_ID.fullmatch(claims["sub"]):
            raise TokenRefused()
        return key.kid, AccessToken(int(claims["sub"]), claims["sid"], claims["iat"], claims["exp"])

    def _read_header(self, head: str) -> Key:
        header = _members(_decoded(head))
        # Exactly these members: crit, b64, jku, jwk, x5u, x5c and whatever comes next are refused unread.
        if header.keys() != {"alg", "typ", "kid"} or header["typ"] != "at+jwt" or not isinstance(header["kid"], str):
            raise TokenRefused()
        key = self._ring.verifier(header["kid"])
        if key is None or header["alg"] != key.algorithm:
            raise TokenRefused()
        return key


def _decoded(part: str) -> bytes:
    """Return the bytes of a base64url part; only its one canonical spelling counts. Source: RFC 7515 §2."""
    try:
        plain = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise TokenRefused() from None
    if base64url(plain) != part:
        raise TokenRefused()
    return plain


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise TokenRefused()
    return dict(pairs)


_JSON = json.JSONDecoder(object_pairs_hook=_once)


def _members(raw: bytes) -> dict[str, Any]:
    """Return the members of a JSON object; a doubled name is refused. Source: RFC 7515 §4."""
    try:
        members = _JSON.decode(raw.decode())
    except (ValueError, RecursionError):
        raise TokenRefused() from None
    if not isinstance(members, dict):
        raise TokenRefused()
    return members
