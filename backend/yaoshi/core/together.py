"""Group commit: small writes that arrive together are made durable together, by one wait for the disk."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from yaoshi.core.db import Database, Work
from yaoshi.core.types import Caller

Wish = TypeVar("Wish")
Outcome = TypeVar("Outcome")


class _Waiting(Generic[Wish, Outcome]):
    """One who waits: woken when the wish was granted or failed, or when it is their turn to write for all."""

    __slots__ = ("done", "failure", "gate", "outcome", "wish")

    def __init__(self, wish: Wish) -> None:
        self.wish, self.done = wish, False
        self.outcome: Outcome | None = None
        self.failure: BaseException | None = None
        self.gate = Lock()
        self.gate.acquire()


class Together(Generic[Wish, Outcome]):
    """Lets `act` write what several callers wish in one transaction; while one reaches the disk the next one gathers.

    Only where one writer holds the database anyhow, on SQLite; PostgreSQL does this by itself, for transactions of
    their own. `act` is given the wishes of one transaction, returns one outcome for each, in their order, and records
    no facts: those have one caller. What it raises undoes the transaction for all who share it.
    """

    def __init__(self, db: Database, act: Callable[[Work, list[Wish]], list[Outcome]]) -> None:
        self._db, self._act = db, act
        self._turn, self._writing = Lock(), False
        self._gathered: list[_Waiting[Wish, Outcome]] = []

    def run(self, caller: Caller, wish: Wish) -> Outcome:
        """Return the outcome of `wish`, once it is durable. Raises what `act` raises, and StorageUnavailable."""
        if self._db.writer.dialect.name != "sqlite":
            with self._db.write(caller) as work:
                return self._act(work, [wish])[0]
        mine: _Waiting[Wish, Outcome] = _Waiting(wish)
        with self._turn:
            self._gathered.append(mine)
            leads, self._writing = not self._writing, True
        if not leads:
            mine.gate.acquire()
        if not mine.done:
            self._write_all(caller)
        if mine.failure:
            raise mine.failure
        return mine.outcome  # type: ignore[return-value]  # there is one where nothing failed

    def _write_all(self, caller: Caller) -> None:
        with self._turn:
            batch, self._gathered = self._gathered, []
        try:
            with self._db.write(caller) as work:
                outcomes = self._act(work, [one.wish for one in batch])
            for one, outcome in zip(batch, outcomes, strict=True):
                one.outcome = outcome
        except BaseException as failure:
            for one in batch:
                one.failure = failure
        with self._turn:
            following = self._gathered[0] if self._gathered else None
            self._writing = following is not None
        if following:
            following.gate.release()
        for one in batch:
            one.done = True
            one.gate.release()
