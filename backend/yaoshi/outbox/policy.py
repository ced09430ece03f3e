"""When a message is tried again, and when that is no use any more. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum

LEASE = timedelta(minutes=4)
"""Longer than the longest attempt (`messaging.service.MOST_SECONDS` for each provider) and a minute of clock skew."""

RECEIPT_WAIT = timedelta(seconds=45)
"""So long a provider's receipt is waited for where another provider could try instead."""

_WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 45, 120, 300, 600, 1200, 2400))
_LAST_WAIT = timedelta(hours=1)


class State(StrEnum):
    """How a message stands. Only `waiting` ones are ever sent."""

    WAITING = "waiting"
    SENT = "sent"
    DROPPED = "dropped"
    """Nobody wants it any more: its code is spent, void, or past its life."""
    DEAD = "dead"
    """It can't be delivered; the operator may look at why, and try again while it is of use."""


def due_again(attempts: int, now: datetime, jitter: float) -> datetime:
    """Return when a message is tried again after its attempt number `attempts` (from 1); `jitter` is from 0 up to 1.

    5 s, 15 s, 45 s, 2 min, 5 min and so on up to an hour, each up to a fifth longer: gateways that come back do not
    meet all that waited at one moment.
    """
    wait = _WAITS[attempts - 1] if attempts <= len(_WAITS) else _LAST_WAIT
    return now + wait * (1 + jitter / 5)
