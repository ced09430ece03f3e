"""How an upgrade reaches the database: with the write lock from first to last statement, or looking only."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from yaoshi.core.engines import make_private, sqlite_path
from yaoshi.core.errors import SettingsRefused

LOCK_WAIT_SECONDS = 30
_ADVISORY_LOCK = 0x59616F736869  # "Yaoshi"
_WAL_MARK = 2


@contextmanager
def locked(url: str) -> Iterator[Connection]:
    """Yield a connection inside one transaction that nobody else's upgrade can share; commit at the end.

    Whatever interrupts it, the database stays as it was. A second upgrade waits here and then finds nothing to do.
    Raises SettingsRefused when the database can't be reached, stays locked, or refuses a statement.
    """
    path = sqlite_path(url)
    if path:
        _make_empty(path)
    with _engine(url, path, "BEGIN IMMEDIATE") as engine, engine.begin() as connection:
        if not path:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS}s'")
            connection.exec_driver_sql("SET LOCAL timezone = 'UTC'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        yield connection
    if path:
        make_private(path)


@contextmanager
def looking(url: str) -> Iterator[Connection]:
    """Yield a connection that changes nothing, no file beside the database either. Raises SettingsRefused."""
    path = sqlite_path(url)
    address = f"{path.resolve().as_uri()}?{_way_to_look(path)}" if path else None
    with _engine(url, path, "BEGIN", address) as engine, engine.begin() as connection:
        if not path:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        yield connection


@contextmanager
def _engine(url: str, path: Path | None, begin: str, address: str | None = None) -> Iterator[Engine]:
    if path is None:
        engine = create_engine(url, poolclass=NullPool)
    else:
        engine = create_engine(url, poolclass=NullPool, creator=lambda: _connect(address or str(path), address))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    try:
        yield engine
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        if path and "locked" in reason:
            sentence = f"{path} is in use by another program. Stop it and start again; nothing was changed."
        elif getattr(error.orig, "sqlite_errorname", "") == "SQLITE_READONLY_ROLLBACK":
            sentence = f"An upgrade of {path} was interrupted. Upgrade again: that begins by undoing what it left."
        else:
            sentence = f"{path or 'The database'} can't be used, nothing was changed: {reason}."
        raise SettingsRefused(sentence) from None
    finally:
        engine.dispose()


def _connect(address: str, uri: str | None) -> sqlite3.Connection:
    # None: the driver must not commit before a change of schema; the whole upgrade is one transaction.
    connection = sqlite3.connect(address, timeout=LOCK_WAIT_SECONDS, isolation_level=None, uri=uri is not None)
    connection.text_factory = _text
    # References to a table that is made anew must keep its name. Source: https://sqlite.org/lang_altertable.html
    connection.execute("PRAGMA legacy_alter_table=ON")
    connection.execute("PRAGMA foreign_keys=OFF")
    # No page of the file is written before the commit: whoever is killed leaves it as it was, byte for byte.
    connection.execute("PRAGMA cache_spill=OFF")
    return connection


def _text(raw: bytes) -> Any:
    """Return stored text; the bare bytes where a legacy row holds something else, so that it can be told of."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _way_to_look(path: Path) -> str:
    """Return how to open the file so that nothing appears beside it: a WAL file is made even for readers."""
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except OSError as error:
        raise SettingsRefused(f"{path} can't be read: {error.strerror}.") from None
    log = path.with_name(path.name + "-wal")
    return "immutable=1" if header[18:19] == bytes([_WAL_MARK]) and not log.exists() else "mode=ro"


def _make_empty(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise SettingsRefused(f"{path} can't be opened: {error.strerror}.") from None
