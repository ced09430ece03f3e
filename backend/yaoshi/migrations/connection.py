"""The one connection that may change the schema: it holds the write lock from its first statement to its commit."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from yaoshi.core.db import make_private, sqlite_path
from yaoshi.core.errors import SettingsRefused

LOCK_WAIT_SECONDS = 30
_ADVISORY_LOCK = 0x59616F736869  # "Yaoshi"


@contextmanager
def locked(url: str, wait_seconds: int = LOCK_WAIT_SECONDS) -> Iterator[Connection]:
    """Yield a connection inside one transaction that nobody else's upgrade can share; commit at the end.

    Whatever interrupts it, the database stays as it was. A second upgrade waits here and then finds nothing to do.
    Raises SettingsRefused when the database can't be reached or stays locked.
    """
    path = sqlite_path(url)
    if path:
        _make_empty(path)
    engine = create_engine(url, poolclass=NullPool)
    if path:
        _begin_immediate(engine, wait_seconds)
    try:
        with engine.begin() as connection:
            if not path:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            yield connection
    except OperationalError as error:
        if path and "locked" in str(error.orig):
            raise SettingsRefused(
                f"{path} is in use by another program. Stop it and start again; nothing was changed."
            ) from None
        raise SettingsRefused(f"The database can't be reached: {str(error.orig).strip()}") from None
    finally:
        engine.dispose()
        if path:
            make_private(path)


def _make_empty(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise SettingsRefused(f"{path} can't be opened: {error.strerror}.") from None


def _begin_immediate(engine: Any, wait_seconds: int) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        # None: the driver must not commit before a change of schema; the whole upgrade is one transaction.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={wait_seconds * 1000}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
