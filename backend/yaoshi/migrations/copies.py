"""What adoption leaves beside a legacy file: the file as it was, and the report. Both are their owner's alone."""

import filecmp
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from yaoshi.core.errors import SettingsRefused
from yaoshi.core.types import SystemClock

_MARK = ".before-yaoshi-"


def keep_copy(path: Path) -> Path:
    """Keep a consistent copy of the legacy file beside it; return its path. The caller holds the write lock.

    The copy of an interrupted run is taken as it is when it holds the same, never overwritten. Raises SettingsRefused
    when there is no room for it.
    """
    part = path.with_name(f"{path.name}{_MARK}part")
    try:
        part.unlink(missing_ok=True)  # of a run that was killed here
        os.close(_create(part, os.O_EXCL))
        with (
            closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(part)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        return _settle(part, path)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise SettingsRefused(f"A copy of {path} can't be kept beside it, nothing was changed: {error}.") from None


def keep_report(copy: Path, text: str) -> Path:
    """Write the report beside the copy; return its path."""
    path = copy.with_name(copy.name + ".report.txt")
    with os.fdopen(_create(path, os.O_TRUNC), "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text + "\n")
    return path


def _settle(part: Path, path: Path) -> Path:
    """Give the finished copy its name, or drop it for an equal one that is there."""
    day = SystemClock().now().date().isoformat()
    number = 1
    while True:
        target = path.with_name(f"{path.name}{_MARK}{day}" + (f"-{number}" if number > 1 else ""))
        if not target.exists():
            part.rename(target)
            return target
        if filecmp.cmp(target, part, shallow=False):
            part.unlink()
            return target
        number += 1


def _create(path: Path, flag: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
