"""The database: who may write, when a transaction begins, and what every table shares.

Reading is a snapshot that cannot write; writing is one transaction that takes the lock first. Nothing slow may
happen inside it, and it never nests.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    Connection,
    DateTime,
    Dialect,
    Engine,
    Executable,
    Insert,
    MetaData,
    String,
    Table,
    TypeDecorator,
    insert,
)
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler

from yaoshi.core.engines import open_quick
from yaoshi.core.errors import StorageUnavailable
from yaoshi.core.types import Caller, Clock, Event

_writing: ContextVar[bool] = ContextVar("writing", default=False)


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant. SQLite keeps it as the text that the legacy system wrote; unreadable text is None."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return the column type of `dialect`: text on SQLite, else its own instant."""
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return what is stored for `value`."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the instant that `value` stands for."""
        return read_instant(value)


def read_instant(value: Any) -> datetime | None:
    """Return a stored instant as aware UTC; None for null and for text that is no instant."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def stored_instant(value: datetime, dialect: Dialect) -> Any:
    """Return `value` as `dialect` keeps it: for statements that go to the driver as they are."""
    return _INSTANT.process_bind_param(value, dialect)


_INSTANT = Instant()


class Model(DeclarativeBase):
    """The base of every table."""

    type_annotation_map = {datetime: Instant}
    metadata = MetaData(
        naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s"}
    )


class Prepared:
    """A statement compiled once and put to the driver as it is: for what every request, sign-in or refresh does.

    Values go in and rows come out as the driver has them: instants as `stored_instant` and `read_instant` have them.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[SQLCompiler, dict[str, Any]]] = {}

    def put(self, connection: Any, dialect: Dialect, values: dict[str, Any]) -> Any:
        """Run it on a driver's `connection` in the words of `dialect`; return the driver's cursor."""
        compiled, fixed = self._for(dialect)
        values = fixed | values
        cursor = connection.cursor()
        named = compiled.positiontup
        cursor.execute(compiled.string, values if named is None else [values[name] for name in named])
        return cursor

    def put_all(self, connection: Any, dialect: Dialect, values: list[dict[str, Any]]) -> int:
        """Run it once for each of `values`; return how many rows all of them touched."""
        compiled, fixed = self._for(dialect)
        whole = [fixed | one for one in values]
        cursor = connection.cursor()
        named = compiled.positiontup
        cursor.executemany(
            compiled.string, whole if named is None else [[one[name] for name in named] for one in whole]
        )
        return int(cursor.rowcount)

    def _for(self, dialect: Dialect) -> tuple[SQLCompiler, dict[str, Any]]:
        """Return the statement in the words of `dialect`, and the values that are part of it."""
        if dialect.name not in self._compiled:
            made = cast(SQLCompiler, self._statement.compile(dialect=dialect))  # type: ignore[attr-defined]
            self._compiled[dialect.name] = made, dict(made.params)
        return self._compiled[dialect.name]


@dataclass(slots=True)
class Work:
    """One open write transaction: its connection, its one instant, its caller, and the facts it will leave."""

    db: Connection
    now: datetime
    caller: Caller
    facts: list[Event] = field(default_factory=list)

    def put(self, statement: Prepared, values: dict[str, Any]) -> Any:
        """Run a prepared statement in this transaction; return the driver's cursor."""
        return statement.put(self.db.connection.driver_connection, self.db.dialect, values)

    def put_all(self, statement: Prepared, values: list[dict[str, Any]]) -> int:
        """Run a prepared statement for each of `values`; return how many rows all of them touched."""
        return statement.put_all(self.db.connection.driver_connection, self.db.dialect, values)

    def record(self, fact: Event) -> None:
        """Keep `fact`; it is announced in this very transaction."""
        self.facts.append(fact)


class Database:
    """Opens snapshots and write transactions. Every failure of storage leaves as StorageUnavailable."""

    def __init__(self, reader: Engine, writer: Engine, clock: Clock, announce: Callable[[Work], None]) -> None:
        self.reader, self.writer = reader, writer
        self._clock, self._announce = clock, announce
        self._own = threading.local()
        self._opening = threading.Lock()
        self._quick: Engine | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a snapshot that cannot write."""
        with self._storage(), self.reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self, caller: Caller) -> Iterator[Work]:
        """Yield the one write transaction; leaving normally commits it and announces its facts, raising undoes it.

        Raises RuntimeError when one is open already, StorageUnavailable when the lock can't be had in time.
        """
        if _writing.get():
            raise RuntimeError("a write is already open: take `work` as an argument and join it")
        mark = _writing.set(True)
        try:
            with self._storage(), self.writer.begin() as connection:
                work = Work(connection, self._clock.now(), caller)
                yield work
                self._announce(work)
        finally:
            _writing.reset(mark)

    @contextmanager
    def quick(self) -> Iterator[Connection]:
        """Yield a transaction that is acknowledged before it is on the disk: for counts, which a power cut may lose.

        It never begins inside a write: on SQLite it would wait for that very lock.
        """
        with self._opening:
            if self._quick is None:
                self._quick = open_quick(self.writer.url)
        with self._storage(), self._quick.begin() as connection:
            yield connection

    def ask(self, question: "Prepared", values: dict[str, Any]) -> list[Any]:
        """Return the rows of a prepared question; it sees what was committed before it began."""
        with self._storage(), self._asking() as connection:
            return list(question.put(connection, self.reader.dialect, values).fetchall())

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """Yield a driver's connection. SQLite's belongs to the thread: the pool costs more than the question."""
        if self.reader.dialect.name != "sqlite":
            pooled = self.reader.raw_connection()
            try:
                yield pooled
            finally:
                pooled.close()
            return
        if not hasattr(self._own, "connection"):
            self._own.connection = self.reader.raw_connection()
        yield self._own.connection.driver_connection

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, PoolTimeout, self.reader.dialect.loaded_dbapi.OperationalError) as error:
            raise StorageUnavailable(retry_after=2) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise StorageUnavailable(retry_after=2) from error
            raise

    def close(self) -> None:
        """Let go of every connection."""
        for engine in filter(None, (self.reader, self.writer, self._quick)):
            engine.dispose()


def insert_into(model: type[Model]) -> Insert:
    """Return the one INSERT of a table: the same text for every row, nulls included, so that rows cost the same."""
    return insert(cast(Table, model.__table__))


def is_writing() -> bool:
    """Return whether this thread of work holds the write lock: slow things must not happen then."""
    return _writing.get()
