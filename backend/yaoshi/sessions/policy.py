"""What a refresh token earns, and how long a session lasts. Pure: no clock, no database, no randomness."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

DEVICE_MEMORY = timedelta(days=90)
_VERSIONS = re.compile(r"[\d._]+")


def is_strange(agent: str, known: Sequence[str]) -> bool:
    """Return whether somebody signs in with a program that none of the `known` is, its version aside.

    The very first sign-in of an account is nobody's surprise.
    """
    return bool(known) and _VERSIONS.sub("", agent) not in {_VERSIONS.sub("", one) for one in known}


class Standing(NamedTuple):
    """How a session stands; `active` is whether its account may sign in."""

    user_id: int
    role: str
    active: bool
    counter: int
    rotated_at: datetime | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class Verdict(Enum):
    """What a presented token earns: the next one, the same one again, the session's end for a cause, or nothing."""

    ROTATE = "rotate"
    REPEAT = "repeat"
    STOLEN = "replayed"
    EXPIRED = "expired"
    OVER = "over"


class Lasts(NamedTuple):
    """How long sessions of a role last: unused, and at all."""

    idle: timedelta
    absolute: timedelta

    def ends_at(self, created_at: datetime, last_seen_at: datetime) -> datetime:
        """Return when a session ends by itself: idle for too long, or too old. Lowering a setting shortens what runs.

        Source: ASVS 7.3.1, 7.3.2.
        """
        return min(created_at + self.absolute, last_seen_at + self.idle)


def judge_refresh(
    counter: int, standing: Standing | None, *, now: datetime, end: datetime | None, grace: timedelta
) -> Verdict:
    """Decide what refresh token number `counter` of a session earns; `end` is when the session ends by itself.

    The previous token, shown again within `grace` (0 to 60 s) while its successor is unused, is a client that lost our
    answer or a second tab, and earns that very successor. Any other used token is a copy: the session must die.
    A number that was never given out (a database brought back from a backup) earns nothing and ends nothing.

    Source: RFC 9700 §4.14.2.
    """
    if standing is None or end is None or standing.ended_at is not None or not standing.active:
        return Verdict.OVER
    if now >= end:
        return Verdict.EXPIRED
    if counter >= standing.counter:
        return Verdict.ROTATE if counter == standing.counter else Verdict.OVER
    rotated_at = standing.rotated_at
    if counter == standing.counter - 1 and rotated_at is not None and now - rotated_at < grace:
        return Verdict.REPEAT
    return Verdict.STOLEN
