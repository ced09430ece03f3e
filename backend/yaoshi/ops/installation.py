"""The database as a whole: is it of this version, has production served it, what may be thrown away."""

from datetime import timedelta

from sqlalchemy import Connection, String, column, insert, inspect, select, table
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from yaoshi.codes.service import Codes
from yaoshi.core.db import Database, Model
from yaoshi.core.errors import SettingsRefused
from yaoshi.core.types import Caller
from yaoshi.outbox.service import Outbox
from yaoshi.sessions.service import Sessions

HEAD = "0005"
KEEP = timedelta(days=1)
_SERVED = "served_in_production"
# Read by hand: the migration library takes a sixth of a second to load, and serving needs nothing else of it.
_VERSIONS = table("alembic_version", column("version_num", String))


class Mark(Model):
    """One mark on the whole database, such as that production has served it."""

    __tablename__ = "installation"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(255))


class Installation:
    """Judges the database before it is served, and keeps it tidy."""

    def __init__(self, db: Database, codes: Codes, outbox: Outbox, sessions: Sessions, *, development: bool) -> None:
        self._db, self._development = db, development
        self._codes, self._outbox, self._sessions = codes, outbox, sessions

    def version(self) -> str | None:
        """Return the schema's version, None for a database that was never upgraded."""
        with self._db.read() as db:
            if not inspect(db).has_table(_VERSIONS.name):
                return None
            return db.scalar(select(_VERSIONS.c.version_num))

    def check_version(self) -> None:
        """Raise SettingsRefused unless the schema is the one that this program knows."""
        version = self.version()
        if version != HEAD:
            found = f"at version {version}" if version else "not set up"
            raise SettingsRefused(f"The database is {found}, this program needs {HEAD}. Run: yaoshi db upgrade")

    def check(self) -> None:
        """Raise SettingsRefused unless this process may serve this database."""
        self.check_version()
        with self._db.read() as db:
            if self._development and _served(db):
                raise SettingsRefused(
                    "Production has served this database; development mode, which shows codes, refuses it."
                    " Work on a copy, or set FLASK_ENV=production."
                )

    def mark_served(self, caller: Caller) -> None:
        """Mark that production serves this database: development will refuse it from now on."""
        with self._db.read() as db:
            if _served(db):
                return
        try:
            with self._db.write(caller) as work:
                work.db.execute(insert(Mark).values(name=_SERVED, value=work.now.isoformat()))
        except IntegrityError:
            return  # another process marked it at the same moment

    def purge(self, caller: Caller) -> tuple[int, int, int]:
        """Delete codes, sessions and messages that have been over for a day; return how many of each."""
        with self._db.write(caller) as work:
            before = work.now - KEEP
            deleted = self._codes.purge(work, before), self._sessions.purge(work, before)
            return *deleted, self._outbox.purge(work, before)

    def is_reachable(self) -> bool:
        """Return whether the database answers. Raises StorageUnavailable when it does not."""
        with self._db.read() as db:
            return db.scalar(select(1)) == 1


def _served(db: Connection) -> bool:
    return db.scalar(select(Mark.value).where(Mark.name == _SERVED)) is not None
