"""Bringing a database to this program's version, or telling what that would do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from yaoshi.core.db import sqlite_path
from yaoshi.core.errors import SettingsRefused
from yaoshi.migrations.adoption import plan_of
from yaoshi.migrations.connection import locked

FOLDER = Path(__file__).parent


def upgrade(url: str) -> str:
    """Bring the database of `url` to the newest version; return what was done, for people.

    Raises SettingsRefused with nothing changed.
    """
    with locked(url) as connection:
        config = _config(connection)
        before = MigrationContext.configure(connection).get_current_revision()
        command.upgrade(config, "head")
    reports: list[str] = config.attributes["reports"]
    if reports:
        return "\n".join(reports)
    return "The database is up to date." if before == head() else f"The database is now at version {head()}."


def plan(url: str) -> str:
    """Return what `upgrade` would do; nothing is changed and no copy is made."""
    path = sqlite_path(url)
    if path and not path.exists():
        return f"A new database would be made: {path}"
    with _reading(url) as connection:
        version = MigrationContext.configure(connection).get_current_revision()
        if version == head():
            return "The database is up to date."
        if version is None and inspect(connection).has_table("users"):
            return plan_of(connection).told("would be adopted")
    return f"The database would be brought from version {version or 'nothing'} to {head()}."


def current(url: str) -> str:
    """Return the version of the database."""
    with _reading(url) as connection:
        return MigrationContext.configure(connection).get_current_revision() or "not set up"


def history() -> list[str]:
    """Return every version with its name, newest first."""
    return [f"{step.revision} {step.doc}" for step in ScriptDirectory(str(FOLDER)).walk_revisions()]


def head() -> str:
    """Return the newest version that this program knows."""
    return str(ScriptDirectory(str(FOLDER)).get_current_head())


@contextmanager
def _reading(url: str) -> Iterator[Connection]:
    path = sqlite_path(url)
    address = f"sqlite:///file:{path.as_posix()}?mode=ro&uri=true" if path else url
    engine = create_engine(address, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        raise SettingsRefused(f"The database can't be read: {str(error.orig).strip()}") from None
    finally:
        engine.dispose()


def _config(connection: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes.update(connection=connection, reports=[])
    return config
