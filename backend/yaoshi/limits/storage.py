"""Where counts live, as storages of the limits library: in this process's memory, or in a table that all share.

The library's own memory starts a thread to sweep all its counters after nearly every count, and two first counts at
once may make one; behind a single lock a count is a dictionary entry. It has no storage in SQL.
"""

import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, cast

from limits.storage import Storage
from sqlalchemy import Double, Index, Insert, String, Table, bindparam, case, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Mapped, mapped_column

from yaoshi.core.db import Database, Model

_SWEEP_SECONDS = 60


class Counter(Model):
    """One open window. `name` is a keyed digest: what was typed, and whose it is, can't be read from it.

    `ends_at` is in seconds since 1970 by the clock of the process that opened the window.
    """

    __tablename__ = "limit_counters"
    __table_args__ = (Index(None, "ends_at"),)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int]
    ends_at: Mapped[float] = mapped_column(Double)


class Counters(Storage):
    """What both storages share. Instants are in seconds of the system clock, which is the library's."""

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._sweep_at = 0.0

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return what can go wrong here and nowhere else."""
        return ValueError

    @abstractmethod
    def entry(self, key: str) -> tuple[int, float]:
        """Return the count of `key` and when its window ends; (0, 0) when there is none."""

    @abstractmethod
    def decr(self, key: str) -> None:
        """Give one count back."""

    def get(self, key: str) -> int:
        """Return the count of the open window."""
        count, ends = self.entry(key)
        return count if ends > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """Return when the window of `key` ends; now when none is open."""
        return max(self.entry(key)[1], time.time())

    def check(self) -> bool:
        """Return whether counting works."""
        return self.entry("") == (0, 0.0)

    def is_time_to_sweep(self, now: float) -> bool:
        """Return true once a minute."""
        due = now >= self._sweep_at
        if due:
            self._sweep_at = now + _SWEEP_SECONDS
        return due


class Memory(Counters):
    """Counts of one process."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}

    def entry(self, key: str) -> tuple[int, float]:
        """Return the count of `key` and when its window ends."""
        return self._counts.get(key, (0, 0.0))

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add `amount` and return the new count; the first count opens a window of `expiry` seconds."""
        with self._turn:
            now = time.time()
            if self.is_time_to_sweep(now):
                self._counts = {name: entry for name, entry in self._counts.items() if entry[1] > now}
            count, ends = self.entry(key)
            entry = (count + amount, ends) if ends > now else (amount, now + expiry)
            self._counts[key] = entry
            return entry[0]

    def decr(self, key: str) -> None:
        """Give one count back."""
        with self._turn:
            count, ends = self.entry(key)
            if count:
                self._counts[key] = (count - 1, ends)

    def reset(self) -> None:
        """Forget every count."""
        self._counts = {}

    def clear(self, key: str) -> None:
        """Forget one count."""
        self._counts.pop(key, None)


class Shared(Counters):
    """Counts in the database: one statement each, so that parallel tries on all processes are all counted.

    `conceal` turns a key into a name that tells nothing.
    """

    def __init__(self, db: Database, conceal: Callable[[str], str]) -> None:
        super().__init__()
        self._db, self._conceal = db, conceal
        self._count = _counting(db.writer.dialect.name)

    def entry(self, key: str) -> tuple[int, float]:
        """Return the count of `key` and when its window ends."""
        with self._db.quick() as db:
            row = db.execute(select(Counter.count, Counter.ends_at).where(Counter.name == self._conceal(key))).first()
        return (row[0], row[1]) if row else (0, 0.0)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add `amount` and return the new count; the first count opens a window of `expiry` seconds."""
        now = time.time()
        values = {"name": self._conceal(key), "amount": amount, "now": now, "ends": now + expiry}
        with self._db.quick() as db:
            if self.is_time_to_sweep(now):
                db.execute(delete(Counter).where(Counter.ends_at < now))
            return int(db.execute(self._count, values).scalar_one())

    def decr(self, key: str) -> None:
        """Give one count back."""
        change = update(Counter).where(Counter.name == self._conceal(key), Counter.count > 0)
        with self._db.quick() as db:
            db.execute(change.values(count=Counter.count - 1))

    def reset(self) -> None:
        """Forget every count."""
        with self._db.quick() as db:
            db.execute(delete(Counter))

    def clear(self, key: str) -> None:
        """Forget one count."""
        with self._db.quick() as db:
            db.execute(delete(Counter).where(Counter.name == self._conceal(key)))


def _counting(dialect: str) -> Insert:
    """Return the statement that opens a window or adds to it, whichever it is, and tells the count."""
    make: Any = {"sqlite": sqlite_insert, "postgresql": postgresql_insert}.get(dialect, insert)
    first = make(cast(Table, Counter.__table__)).values(
        name=bindparam("name"), count=bindparam("amount"), ends_at=bindparam("ends")
    )
    is_open = Counter.ends_at > bindparam("now")
    counted = first.on_conflict_do_update(
        index_elements=[Counter.name],
        set_={
            "count": case((is_open, Counter.count + bindparam("amount")), else_=bindparam("amount")),
            "ends_at": case((is_open, Counter.ends_at), else_=bindparam("ends")),
        },
    )
    return cast(Insert, counted.returning(Counter.count))
