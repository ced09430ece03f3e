"""Passwords: checked at one price whatever is stored, hashed, replaced."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, func, select, update

from yaoshi.accounts.models import User
from yaoshi.core.config import Group
from yaoshi.core.db import Database, Work
from yaoshi.core.secretbox import SecretBox
from yaoshi.passwords.hashers import Cost, Hashers
from yaoshi.passwords.pool import HashPool

_SAMPLE = 2000


class PasswordSettings(Group):
    """What a password hash costs. Source of the defaults: OWASP Password Storage Cheat Sheet, Argon2id."""

    argon2_memory_kib: int = Field(19456, ge=7168, le=262_144)
    """Memory of one hash in KiB."""

    argon2_iterations: int = Field(2, ge=1, le=20)
    """Passes over that memory."""

    argon2_lanes: int = Field(1, ge=1, le=16)
    """Lanes of one hash."""

    hash_workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)
    """Hashes computed at once; four times as many may wait, the rest is told to come back. Default: the cores."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether the password was right, and its hash by today's cost where the stored one is of another."""

    right: bool
    fresh: str | None


class Hashing:
    """A taken place in the hash pool: what a journey hashes, it hashes here, outside every write."""

    def __init__(self, run: Callable[..., Any], hashers: Hashers, decoy: Callable[[str], str]) -> None:
        self._run, self._hashers, self._decoy = run, hashers, decoy

    def hash(self, plain: str) -> str:
        """Return the hash of a new password."""
        return str(self._run(self._hashers.hash, plain))

    def check(self, stored: str | None, plain: str, name: str) -> Checked:
        """Check `plain` against `stored`; without a usable one a decoy drawn for `name` costs what it would have.

        `name` is the canonical form of what was typed, so that one name always costs the same.
        """
        usable = stored if self._hashers.recipe(stored) else None
        right = bool(self._run(self._hashers.verify, usable or self._decoy(name), plain)) and usable is not None
        fresh = self.hash(plain) if right and self._hashers.needs_rehash(usable or "") else None
        return Checked(right, fresh)


class Passwords:
    """Checks and replaces passwords. Alone writes the column `users.password_hash` after an account is opened."""

    def __init__(self, db: Database, box: SecretBox, settings: PasswordSettings) -> None:
        cost = Cost(settings.argon2_memory_kib, settings.argon2_iterations, settings.argon2_lanes)
        self._db, self._box = db, box
        self._hashers = Hashers(cost)
        self._pool = HashPool(settings.hash_workers)
        self._decoys: list[tuple[int, str]] = [(1, self._hashers.decoy())]

    def learn_mix(self) -> None:
        """Draw decoys from the schemes that are in use here, as often as each is, from an even sample of accounts.

        A stranger's name then costs what a member's would: for schemes of equal price exactly, else in proportion.
        """
        with self._db.read() as db:
            usable = [stored for stored in _sample(db) if self._hashers.recipe(stored)]
        counts = Counter(map(self._hashers.recipe, usable))
        models = {self._hashers.recipe(stored): stored for stored in usable}
        if counts:
            self._decoys = [(counts[recipe], self._hashers.decoy(models[recipe])) for recipe in sorted(models, key=str)]

    @contextmanager
    def hashing(self) -> Iterator[Hashing]:
        """Yield a place in the hash pool. Raises Overloaded when the queue is full."""
        with self._pool.slot() as run:
            yield Hashing(run, self._hashers, self._decoy)

    def replace(self, work: Work, user_id: int, digest: str, *, replacing: str | None = None) -> bool:
        """Make `digest` the account's password; given `replacing`, only if that is still the stored hash."""
        change = update(User).where(User.id == user_id).values(password_hash=digest)
        if replacing is not None:
            change = change.where(User.password_hash == replacing)
        return bool(work.db.execute(change).rowcount == 1)

    def close(self) -> None:
        """End the hash threads."""
        self._pool.close()

    def _decoy(self, name: str) -> str:
        drawn = int(self._box.digest("password decoys", name), 16) % sum(count for count, _ in self._decoys)
        for count, decoy in self._decoys:
            drawn -= count
            if drawn < 0:
                return decoy
        raise AssertionError("weights don't add up")


def _sample(db: Connection) -> list[str]:
    highest = db.scalar(select(func.max(User.id))) or 0
    ids = range(1, highest + 1, max(1, highest // _SAMPLE))
    return list(db.scalars(select(User.password_hash).where(User.id.in_(ids))))
