"""Signing and checking access tokens. The checker depends on no guard rail of the library: one key, one algorithm."""

import base64
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey
from joserfc.jws import JWSRegistry
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from yaoshi.core.db import Database
from yaoshi.core.errors import SettingsRefused
from yaoshi.core.secretbox import SecretBox, Unsealable
from yaoshi.core.types import Caller, Clock
from yaoshi.keys.models import SigningKey
from yaoshi.keys.settings import KeySettings

PURPOSE = "signing keys"
LEEWAY = timedelta(seconds=30)
_RELOAD_AFTER = timedelta(seconds=5)
_MOST_LENGTH = 4096
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USER_ID = re.compile(r"[1-9][0-9]{0,17}")
_CLAIMS = {"iss": str, "aud": str, "sub": str, "sid": str, "iat": int, "exp": int}


class TokenRefused(Exception):
    """The token is not one of ours, or not for now. Why is nobody's business."""


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str
    algorithm: str
    material: OctKey | ECKey
    check: Any

    @classmethod
    def of(cls, kid: str, algorithm: str, material: OctKey | ECKey) -> "_Key":
        """Bind a key to its one algorithm."""
        return cls(kid, algorithm, material, JWSRegistry(algorithms=[algorithm]).get_alg(algorithm))


class Keys:
    """Signs with the newest key; verifies with the key that the token names, by that key's own algorithm."""

    def __init__(self, db: Database, clock: Clock, box: SecretBox, settings: KeySettings) -> None:
        self._db, self._clock, self._box, self._settings = db, clock, box, settings
        self._keys: dict[str, _Key] = {}
        self._newest: _Key | None = None
        self._loaded_at: datetime | None = None
        self._ours = (settings.public_url, settings.audience)
        self._checked = lru_cache(maxsize=2048)(self._check)
        self._named = lru_cache(maxsize=64)(self._read_header)
        if settings.jwt_secret_key:
            key = OctKey.import_key(settings.jwt_secret_key.encode())
            self._newest = _Key.of("shared", "HS256", key)
            self._keys = {"shared": self._newest}

    def open(self, caller: Caller) -> None:
        """Load the keys, making the first one in a new installation.

        Raises SettingsRefused when SECRET_KEY is not the one that sealed them.
        """
        if self._settings.jwt_secret_key:
            return
        self._load()
        if self._newest is None:
            self._make(caller)
            self._load()

    def sign(self, user_id: int, session_id: str, now: datetime, lifetime: timedelta) -> str:
        """Return an access token. Source: RFC 9068 §2."""
        key = self._newest
        if key is None:
            raise RuntimeError("sign before open")
        claims = {
            "iss": self._settings.public_url,
            "aud": self._settings.audience,
            "sub": str(user_id),
            "sid": session_id,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        header = {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid}
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return jws.serialize_compact(header, payload, key.material, algorithms=[key.algorithm])

    def verify(self, token: str) -> tuple[int, str]:
        """Return (user id, session id) of a token that is ours and in its time.

        A small cache skips the signature of strings already checked, never the time. Raises TokenRefused.
        Source: RFC 8725 §3.
        """
        claims = self._checked(token)
        now = self._clock.now().timestamp()
        if claims["exp"] <= now or claims["iat"] > now + LEEWAY.total_seconds():
            raise TokenRefused()
        return int(claims["sub"]), claims["sid"]

    def _check(self, token: str) -> dict[str, Any]:
        if len(token) > _MOST_LENGTH or not _COMPACT.fullmatch(token):
            raise TokenRefused()
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        key = self._named(head)
        if not key.check.verify(signed.encode(), _decoded(signature), key.material):
            raise TokenRefused()
        claims = _members(_decoded(body))
        if any(type(claims.get(name)) is not kind for name, kind in _CLAIMS.items()):
            raise TokenRefused()
        if (claims["iss"], claims["aud"]) != self._ours or not _USER_ID.fullmatch(claims["sub"]):
            raise TokenRefused()
        return claims

    def _read_header(self, head: str) -> _Key:
        header = _members(_decoded(head))
        # Exactly these members: crit, b64, jku, jwk, x5u, x5c and whatever comes next are refused unread.
        if header.keys() != {"alg", "typ", "kid"} or header["typ"] != "at+jwt" or not isinstance(header["kid"], str):
            raise TokenRefused()
        key = self._key(header["kid"])
        if header["alg"] != key.algorithm:
            raise TokenRefused()
        return key

    def _key(self, kid: str) -> _Key:
        # Another process may have made it; strangers who invent names must not make us reload each time.
        stale = self._loaded_at is not None and self._clock.now() - self._loaded_at > _RELOAD_AFTER
        if kid not in self._keys and stale:
            self._load()
        if kid not in self._keys:
            raise TokenRefused()
        return self._keys[kid]

    def _load(self) -> None:
        with self._db.read() as db:
            rows = db.execute(select(SigningKey.__table__).order_by(SigningKey.number)).all()
        try:
            loaded = [
                _Key.of(row.kid, row.algorithm, ECKey.import_key(self._box.unseal(PURPOSE, row.sealed_private)))
                for row in rows
            ]
        except Unsealable:
            raise SettingsRefused(
                "SECRET_KEY is not the one that sealed this database's signing keys: restore the old SECRET_KEY."
            ) from None
        self._keys = {key.kid: key for key in loaded}
        self._newest = loaded[-1] if loaded else None
        self._loaded_at = self._clock.now()

    def _make(self, caller: Caller) -> None:
        key = ECKey.generate_key("P-256")
        try:
            with self._db.write(caller) as work:
                work.db.execute(
                    insert(SigningKey).values(
                        number=1,
                        kid=key.thumbprint(),
                        algorithm="ES256",
                        public_jwk=json.dumps(key.as_dict(private=False), sort_keys=True),
                        sealed_private=self._box.seal(PURPOSE, key.as_pem(private=True)),
                        created_at=work.now,
                    )
                )
        except IntegrityError:
            return  # another process made it at the same moment: theirs is loaded


def _decoded(part: str) -> bytes:
    """Return the bytes of a base64url part; only its one canonical spelling counts. Source: RFC 7515 §2."""
    try:
        plain = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise TokenRefused() from None
    if base64.urlsafe_b64encode(plain).rstrip(b"=").decode() != part:
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
