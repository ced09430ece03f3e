"""The small values that every room passes on: who calls, what time it is, what happened."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Protocol


class Clock(Protocol):
    """Tells the time. The second implementation is the tests'."""

    def now(self) -> datetime:
        """Return this instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return this instant, aware, in UTC."""
        return datetime.now(UTC)


SHARED_SOURCE = "forwarded"
"""The counter key of all who come through one address that nobody told us is a proxy."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who stands at the door: an address, a program, a language and a request.

    `source` is the counter key of the address (an IPv6 /64 is one source), `relaxed` lifts the per-address
    limits (development, loopback), `shared` says that many people come through this one address.
    """

    address: str
    agent: str
    language: str
    request_id: str
    source: str = "unknown"
    relaxed: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact, past tense, that the audit log keeps. Carries ids and enums, never what was typed."""

    name: ClassVar[str]
    user_id: int | None
