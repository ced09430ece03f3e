"""The signing keys as this process knows them: made, published, signing, verifying, retired."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, ClassVar, cast

import structlog
from joserfc.jwk import KeyParameters, OctKey
from sqlalchemy import Table, select, update
from sqlalchemy.exc import IntegrityError

from yaoshi.core.db import Database, Work, insert_into
from yaoshi.core.errors import NotReady, SettingsRefused
from yaoshi.core.secretbox import SecretBox, Unsealable
from yaoshi.core.types import Caller, Clock, Event
from yaoshi.keys.material import Key, Material, generated, imported, published
from yaoshi.keys.models import SigningKey
from yaoshi.keys.policy import Phase, phases
from yaoshi.keys.settings import KeySettings

PURPOSE = "signing keys"
_LOOK_AGAIN = timedelta(seconds=1)
_ROWS = select(cast(Table, SigningKey.__table__)).order_by(SigningKey.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotated(Event):
    """A new signing key was published."""

    name: ClassVar[str] = "keys.rotated"
    kid: str
    at_once: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRetired(Event):
    """An operator ended a signing key: its tokens are void."""

    name: ClassVar[str] = "keys.retired"
    kid: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read at one moment, and the phases of that moment; replaced whole, so that readers need no lock."""

    read_at: datetime
    by_phase: list[tuple[Key, Phase]]
    living: dict[str, Key]
    signer: Key | None

    @classmethod
    def of(cls, keys: list[Key], now: datetime) -> "_Known":
        """Return `keys`, oldest first, as they stand `now`."""
        by_phase = list(zip(keys, phases(keys, now), strict=True))  # type: ignore[arg-type]  # dated when kept
        living = {key.kid: key for key, phase in by_phase if phase is not Phase.OVER}
        return cls(now, by_phase, living, next((key for key, phase in by_phase if phase is Phase.SIGNING), None))


class KeyRing:
    """Knows which key signs and which verify. What another process changed is known here within a second."""

    def __init__(self, db: Database, clock: Clock, box: SecretBox, settings: KeySettings) -> None:
        self._db, self._clock, self._box, self._settings = db, clock, box, settings
        self._shared = [
            Key.of(key.thumbprint(), "HS256", key)
            for key in (OctKey.import_key(secret.encode()) for secret in settings.shared_secrets)
        ]
        self._known: _Known | None = None
        self._missed_at: datetime | None = None
        self._materials: dict[str, Material] = {}
        self._reading = Lock()

    def open(self, caller: Caller) -> None:
        """Read the keys; make the first one, or one of the algorithm that the settings ask for.

        Raises SettingsRefused when the secret is not the one that sealed them.
        """
        if self._shared:
            return
        self.sealed_by_older()
        known = self._read()
        if known.signer is None:
            self._make(caller, at_once=True)
        elif known.by_phase[-1][0].algorithm != self._settings.signing_algorithm:
            self._make(caller, at_once=False)

    def signer(self) -> Key:
        """Return the key that signs now: the newest whose time has come, never an older one in its stead.

        Raises NotReady where another process sealed it with a secret that this one was not given.
        """
        if self._shared:
            return self._shared[0]
        key = self._look().signer
        if key is None:
            raise RuntimeError("no key signs: open comes first")
        if not key.material.is_private:
            raise NotReady(retry_after=5)
        return key

    def verifier(self, kid: str) -> Key | None:
        """Return the key called `kid` unless it is over.

        A name that is not known makes us look again, at most once a second: another process may have just made it,
        and strangers who invent names must not keep the database busy.
        """
        if self._shared:
            return next((key for key in self._shared if key.kid == kid), None)
        found = self._look().living.get(kid)
        if found is None:
            now = self._clock.now()
            if self._missed_at is None or now - self._missed_at > _LOOK_AGAIN:
                self._missed_at = now
                found = self._read().living.get(kid)
        return found

    def published(self) -> list[dict[str, Any]]:
        """Return the public halves of every key that others may meet, the newest first. Source: RFC 7517 §5."""
        if self._shared:
            return []
        alive = list(self._look().living.values())
        use: KeyParameters = {"use": "sig"}
        return [
            {**key.material.as_dict(private=False), **use, "kid": key.kid, "alg": key.algorithm} for key in alive[::-1]
        ]

    @property
    def keep_seconds(self) -> int:
        """Return how long others may keep what is published: half the time that a key is published before it signs."""
        return self._settings.key_publish_seconds // 2

    def listing(self) -> list[tuple[Key, Phase]]:
        """Return every kept key with its phase, oldest first."""
        return self._read().by_phase

    def rotate(self, caller: Caller, *, at_once: bool) -> str:
        """Publish a new key, to sign after the publish delay or `at_once`; return its kid. Raises SettingsRefused."""
        self._demand_own()
        self._read()
        return self._make(caller, at_once=at_once)

    def retire(self, caller: Caller, kid: str) -> None:
        """End a key: its tokens are void, everywhere within a second. Raises SettingsRefused for the one that signs."""
        self._demand_own()
        phase = {key.kid: phase for key, phase in self.listing()}.get(kid)
        if phase is None:
            raise SettingsRefused(f"There is no signing key {kid}: see `yaoshi keys list`.")
        if phase is Phase.SIGNING:
            raise SettingsRefused(f"{kid} signs. First make another sign: yaoshi keys rotate --now")
        with self._db.write(caller) as work:
            self._erase(work, kid)
            work.record(KeyRetired(user_id=None, kid=kid))
        self._read()

    def keep(self, caller: Caller) -> None:
        """Rotate by age, and erase the private halves of keys that are over."""
        if self._shared:
            return
        now = self._clock.now()
        listed = self.listing()
        for key, phase in listed:
            if phase is Phase.OVER and key.retired_at is None:
                with self._db.write(caller) as work:
                    self._erase(work, key.kid)
        newest = listed[-1][0].signs_from
        if newest and now - newest > timedelta(days=self._settings.signing_key_days):
            self._make(caller, at_once=False)

    def reseal(self, caller: Caller) -> int:
        """Seal again, under the newest secret, what an older one sealed; return how many. Raises SettingsRefused."""
        changed = 0
        with self._db.write(caller) as work:
            for row in work.db.execute(_ROWS).all():
                if row.sealed_private:
                    plain, newest = self._unsealed(row.sealed_private)
                    if not newest:
                        sealed = self._box.seal(PURPOSE, plain)
                        change = update(SigningKey).where(SigningKey.number == row.number)
                        work.db.execute(change.values(sealed_private=sealed))
                        changed += 1
        return changed

    def sealed_by_older(self) -> int:
        """Return how many private halves an older secret sealed. Raises SettingsRefused when one does not open."""
        with self._db.read() as db:
            sealed = [row.sealed_private for row in db.execute(_ROWS).all() if row.sealed_private]
        return sum(not self._unsealed(one)[1] for one in sealed)

    def _look(self) -> _Known:
        """Return what is known, read again when it is a second old; one thread reads, the others wait no more than
        for what is two seconds old: after an idle night nobody goes by yesterday's keys."""
        known = self._known
        if known is None:
            return self._read()
        age = abs(self._clock.now() - known.read_at)  # a clock that was set back makes nothing young
        if age > _LOOK_AGAIN and self._reading.acquire(blocking=age > 2 * _LOOK_AGAIN):
            try:
                return self._read() if self._known is known else cast(_Known, self._known)
            finally:
                self._reading.release()
        return known

    def _read(self) -> _Known:
        now = self._clock.now()
        with self._db.read() as db:
            rows = db.execute(_ROWS).all()
        for row in rows:
            if row.kid not in self._materials and row.sealed_private:
                self._materials[row.kid] = self._material(row)
        keys = [
            Key.of(row.kid, row.algorithm, self._materials[row.kid], row.signs_from, row.retired_at)
            for row in rows
            if row.kid in self._materials and row.sealed_private
        ]
        self._known = _Known.of(keys, now)
        return self._known

    def _material(self, row: Any) -> Material:
        """Return the key in a row: its public half alone where a newer process sealed the private one."""
        try:
            return imported(row.algorithm, self._unsealed(row.sealed_private)[0])
        except SettingsRefused as refused:
            structlog.get_logger().error("signing_key_sealed", kid=row.kid, sentence=str(refused))
            return published(row.algorithm, row.public_jwk)

    def _make(self, caller: Caller, *, at_once: bool) -> str:
        key, algorithm = generated(self._settings.signing_algorithm), self._settings.signing_algorithm
        delay = timedelta(0) if at_once else timedelta(seconds=self._settings.key_publish_seconds)
        try:
            with self._db.write(caller) as work:
                number = len(work.db.execute(_ROWS).all()) + 1
                work.db.execute(
                    insert_into(SigningKey),
                    {
                        "number": number,
                        "kid": key.thumbprint(),
                        "algorithm": algorithm,
                        "public_jwk": json.dumps(key.as_dict(private=False), sort_keys=True),
                        "sealed_private": self._box.seal(PURPOSE, key.as_pem(private=True)),
                        "created_at": work.now,
                        "signs_from": work.now + delay,
                        "retired_at": None,
                    },
                )
                work.record(KeyRotated(user_id=None, kid=key.thumbprint(), at_once=at_once))
        except IntegrityError:
            pass  # another process made it at the same moment: theirs is read
        return self._read().by_phase[-1][0].kid

    def _erase(self, work: Work, kid: str) -> None:
        change = update(SigningKey).where(SigningKey.kid == kid, SigningKey.retired_at.is_(None))
        work.db.execute(change.values(retired_at=work.now, sealed_private=b""))

    def _unsealed(self, sealed: bytes) -> tuple[bytes, bool]:
        try:
            return self._box.unsealed(PURPOSE, sealed)
        except Unsealable:
            raise SettingsRefused(
                "SECRET_KEY is not the one that sealed this database's signing keys: restore the old SECRET_KEY,"
                " or name both, newest first, in SECRET_KEYS."
            ) from None

    def _demand_own(self) -> None:
        if self._shared:
            raise SettingsRefused(
                "JWT_SECRET_KEY signs here, the server keeps no keys of its own. To change it, put the new one first in"
                " JWT_SECRET_KEYS."
            )
