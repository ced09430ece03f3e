"""Group commit: small writes that arrive together are made durable together, by one wait for the disk."""

from collections.abc import Callable
from threading import Lock
from typing import Any

from yaoshi.core.db import Database, Work
from yaoshi.core.errors import Problem
from yaoshi.core.types import Caller


class _Entry:
    """One waiting write: woken when it is done, or when it is its turn to write for all who wait."""

    __slots__ = ("act", "done", "gate", "refusal", "value")

    def __init__(self, act: Callable[[Work], Any]) -> None:
        self.act, self.done, self.value = act, False, None
        self.refusal: BaseException | None = None
        self.gate = Lock()
        self.gate.acquire()


class Together:
    """Runs writes in transactions that they share. While one transaction reaches the disk the next one gathers.

    Only where one writer holds the database anyhow, on SQLite; PostgreSQL does this by itself, for transactions of
    their own. What is run must record no facts (they have one caller) and must change nothing before it refuses.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._turn, self._writing = Lock(), False
        self._waiting: list[_Entry] = []

    def run(self, caller: Caller, act: Callable[[Work], Any]) -> Any:
        """Return what `act` returns, once it is durable. Raises what `act` raises, and StorageUnavailable."""
        if self._db.writer.dialect.name != "sqlite":
            with self._db.write(caller) as work:
                return act(work)
        entry = _Entry(act)
        with self._turn:
            self._waiting.append(entry)
            leads, self._writing = not self._writing, True
        if not leads:
            entry.gate.acquire()
        if not entry.done:
            self._write_all(caller)
        if entry.refusal:
            raise entry.refusal
        return entry.value

    def _write_all(self, caller: Caller) -> None:
        with self._turn:
            batch, self._waiting = self._waiting, []
        try:
            with self._db.write(caller) as work:
                for entry in batch:
                    try:
                        entry.value = entry.act(work)
                    except Problem as refusal:
                        entry.refusal = refusal
        except BaseException as failure:
            for entry in batch:
                entry.refusal = failure
        with self._turn:
            following = self._waiting[0] if self._waiting else None
            self._writing = following is not None
        for entry in batch:
            entry.done = True
            entry.gate.release()
        if following:
            following.gate.release()
