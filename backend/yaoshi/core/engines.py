"""The engines under the database: how SQLite and PostgreSQL are opened, and whose the files are."""

import os
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import ConnectionPoolEntry

WRITE_WAIT_SECONDS = 10


def open_engines(url: str) -> tuple[Engine, Engine]:
    """Return (reader, writer) for `url`.

    On SQLite the writer owns one connection and begins IMMEDIATE: a deferred transaction that reads first and
    writes later fails with SQLITE_BUSY_SNAPSHOT, which no busy timeout cures. Source: https://sqlite.org/isolation.html
    """
    if make_url(url).get_backend_name() == "sqlite":
        writer = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=WRITE_WAIT_SECONDS)
        reader = create_engine(url, pool_size=8, max_overflow=56)
        _tune(writer, "BEGIN IMMEDIATE", "synchronous=FULL")
        # Every thread reads by a connection of its own: the system keeps pages for all of them, so each keeps few.
        _tune(reader, "BEGIN", "query_only=ON", "cache_size=-256")
        return reader, writer
    engine = create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=True, pool_timeout=WRITE_WAIT_SECONDS)
    return engine.execution_options(postgresql_readonly=True), engine


def open_quick(url: URL) -> Engine:
    """Return an engine whose commits do not wait for the disk; a crash of this process alone loses nothing."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=WRITE_WAIT_SECONDS)
        _tune(engine, "BEGIN IMMEDIATE", "synchronous=NORMAL")
        return engine
    options = {"options": "-c synchronous_commit=off"}
    return create_engine(url, connect_args=options, pool_pre_ping=True, pool_timeout=WRITE_WAIT_SECONDS)


def _tune(engine: Engine, begin: str, *own: str) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        # The timeout comes first: switching to WAL needs a lock that another process may hold.
        for pragma in (
            f"busy_timeout={WRITE_WAIT_SECONDS * 1000}",
            "journal_mode=WAL",
            "foreign_keys=ON",
            *own,
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        cast(Any, connection.connection.driver_connection).execute(begin)


def sqlite_path(url: str) -> Path | None:
    """Return the file behind a SQLite `url`; None for another database or one in memory."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def make_private(path: Path) -> bool:
    """Set `path` and its WAL companions to 0600; return whether nobody else can read them now."""
    private = True
    for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        try:
            if name.exists():
                name.chmod(0o600)
                # Windows keeps other bits: there the folder's own rights decide.
                private &= os.name == "nt" or name.stat().st_mode & 0o077 == 0
        except OSError:
            private = False
    return private
