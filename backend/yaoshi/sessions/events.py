"""What happens to sessions, as the audit log keeps it."""

from dataclasses import dataclass
from typing import ClassVar

from yaoshi.core.types import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """One session is over: signed out, ended from another device, replaced, too many, or expired."""

    name: ClassVar[str] = "session.ended"
    session_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshReplayed(Event):
    """A refresh token was shown that had long been used: somebody has a copy. The session was ended."""

    name: ClassVar[str] = "session.refresh_replayed"
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllSessionsEnded(Event):
    """Somebody signed out everywhere."""

    name: ClassVar[str] = "session.all_ended"
