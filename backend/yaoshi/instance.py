"""The installation on this machine: its folder, its own secret in development, and which database file is its."""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from yaoshi.core import random
from yaoshi.core.engines import make_private
from yaoshi.core.errors import SettingsRefused
from yaoshi.settings import Settings

DEFAULT_NAME = "yaoshi.db"
_SECRET_NAME = "secret_key"  # noqa: S105  # a file's name
_COMPANIONS = ("-wal", "-shm", "-journal", "-serving")


def checkout() -> Path | None:
    """Return the `backend` folder when this package runs from a checkout."""
    backend = Path(__file__).resolve().parent.parent
    return backend if (backend / "run.py").exists() else None


def env_file() -> Path | None:
    """Return the .env file: of the current folder, else of the checkout's `backend`."""
    folders = [Path.cwd(), *filter(None, [checkout()])]
    return next((folder / ".env" for folder in folders if (folder / ".env").is_file()), None)


def folder() -> Path:
    """Return the instance folder, made for its owner alone if it is not there."""
    backend = checkout()
    default = backend / "instance" if backend else Path.cwd() / "instance"
    path = Path(os.environ.get("YAOSHI_INSTANCE_DIR") or default)  # before settings exist
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsRefused(
            f"The instance folder {path} can't be made ({error.strerror}). Set YAOSHI_INSTANCE_DIR."
        ) from None
    return path


def with_own_secret(settings: Settings) -> Settings:
    """Return `settings` with a SECRET_KEY: in development one of our making, kept so that a restart logs nobody out."""
    if settings.secrets:
        return settings
    path = folder() / _SECRET_NAME
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(random.token(48))
            file.flush()
            os.fsync(file.fileno())
    if path.is_symlink() or not make_private(path) or (hasattr(os, "getuid") and path.stat().st_uid != os.getuid()):
        raise SettingsRefused(f"{path} must be a plain file of your own that nobody else can read. Mend or remove it.")
    kept = path.read_text(encoding="ascii").strip()
    if not kept:
        path.unlink()
        raise SettingsRefused(f"{path} was empty, as after a crash; it was removed. Start again.")
    return settings.model_copy(update={"secret_key": kept})


def database_url(settings: Settings) -> str:
    """Return the SQLAlchemy URL of the installation's database.

    A relative SQLite path is looked for in the instance folder, then in `backend`. Without DATABASE_URL the one
    SQLite file there that holds a `users` table is ours; none makes a new one. Raises SettingsRefused where a guess
    would be needed.
    """
    if not settings.database_url:
        return _sqlite(_only_database())
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):  # the second for a port that is no number
        raise SettingsRefused("DATABASE_URL can't be read. Example: postgresql://user:password@host/name") from None
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    if backend != "sqlite":
        raise SettingsRefused(f"DATABASE_URL: {backend} is not supported; use sqlite or postgresql.")
    if not url.database or url.database == ":memory:":
        raise SettingsRefused("DATABASE_URL names no file: a database in memory would forget everybody.")
    return _sqlite(_placed(Path(url.database)))


def secure_database(settings: Settings, path: Path) -> list[str]:
    """Make the database file its owner's alone; return warnings. Raises SettingsRefused in production on failure."""
    if make_private(path):
        return []
    sentence = f"{path} can be read by others and its mode can't be changed. Run: chmod 600 {path}"
    if not settings.development:
        raise SettingsRefused(sentence)
    return [sentence]


def has_terminal() -> bool:
    """Return whether a person started this process and can read what it says."""
    return any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def has_users(path: Path) -> bool:
    """Return whether `path` is a SQLite file with a `users` table."""
    # Reading alone comes first, it leaves no trace; but what a crash left half written must be rolled back to be read.
    return any(_shows_users(path, mode) for mode in ("ro", "rw"))


def _shows_users(path: Path, mode: str) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True)) as db:
            return bool(db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'users'").fetchone())
    except sqlite3.Error:
        return False


def _placed(path: Path) -> Path:
    if path.is_absolute():
        return path
    places = [place / path for place in (folder(), *filter(None, [checkout()]))]
    found = [place for place in places if place.exists()]
    if len(found) > 1:
        raise SettingsRefused(
            f"DATABASE_URL names {path}, and both {found[0]} and {found[1]} exist. Give the whole path of one."
        )
    return found[0] if found else places[0]


def _only_database() -> Path:
    places = [folder(), *filter(None, [checkout()])]
    found = sorted(
        {
            path.resolve()
            for place in places
            for pattern in ("*.db", "*.sqlite*")
            for path in place.glob(pattern)
            if not path.name.endswith(_COMPANIONS) and ".before-yaoshi-" not in path.name and has_users(path)
        }
    )
    if len(found) > 1:
        listed = ", ".join(map(str, found))
        raise SettingsRefused(
            f"Several databases with users are here: {listed}. Say which: DATABASE_URL=sqlite:///PATH"
        )
    return found[0] if found else places[0] / DEFAULT_NAME


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path.absolute().as_posix()}"
