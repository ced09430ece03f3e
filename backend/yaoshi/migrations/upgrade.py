"""Bringing a database to this program's version, or telling what that would do."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from yaoshi.core.engines import sqlite_path
from yaoshi.core.errors import SettingsRefused
from yaoshi.migrations.connection import locked, looking
from yaoshi.migrations.legacy import plan_of, refuse_strangers

FOLDER = Path(__file__).parent


def upgrade(url: str) -> str:
    """Bring the database of `url` to the newest version; return what was done, for people.

    Raises SettingsRefused with nothing changed.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    with locked(url) as connection:
        before = version_of(connection)
        if before != head():
            config.attributes.update(connection=connection, reports=[])
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise SettingsRefused(str(error)) from None
    reports: list[str] = config.attributes.get("reports", [])
    if reports:
        return "\n".join(reports)
    return "The database is up to date." if before == head() else f"The database is now at version {head()}."


def plan(url: str) -> str:
    """Return what `upgrade` would do; nothing is changed and no copy is made."""
    path = sqlite_path(url)
    if path and not path.exists():
        return f"A new database would be made: {path}"
    with looking(url) as connection:
        version = version_of(connection)
        if version == head():
            return "The database is up to date."
        if version is None:
            refuse_strangers(connection)
            if inspect(connection).has_table("users"):
                return plan_of(connection).told("would be adopted")
    return f"The database would be brought from version {version or 'nothing'} to {head()}."


def current(url: str) -> str:
    """Return the version of the database."""
    path = sqlite_path(url)
    if path and not path.exists():
        return "not set up"
    with looking(url) as connection:
        return version_of(connection) or "not set up"


def version_of(connection: Connection) -> str | None:
    """Return the version of the schema, None for an empty or a legacy database, whatever its own stamp says.

    Raises SettingsRefused for one that a newer program has upgraded.
    """
    inspector = inspect(connection)
    columns = {found["name"] for found in inspector.get_columns("users")} if inspector.has_table("users") else set()
    if "username_key" not in columns:
        return None
    found = MigrationContext.configure(connection).get_current_heads()
    known = {step.revision for step in ScriptDirectory(str(FOLDER)).walk_revisions()}
    if not set(found) <= known:
        raise SettingsRefused(f"The database is at version {', '.join(found)}, which only a newer program knows.")
    return found[0] if found else None


def history() -> list[str]:
    """Return every version with its name, newest first."""
    return [f"{step.revision} {step.doc}" for step in ScriptDirectory(str(FOLDER)).walk_revisions()]


def head() -> str:
    """Return the newest version that this program knows."""
    return str(ScriptDirectory(str(FOLDER)).get_current_head())
