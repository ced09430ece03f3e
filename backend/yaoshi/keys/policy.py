"""When a key is published, signs, verifies and is over. Pure: no clock, no database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

# The longest life that any setting gives an access token, and a clock that is a little behind.
STILL_VERIFIES = timedelta(hours=12, minutes=5)


class Dated(Protocol):
    """What the policy needs to know of a key."""

    @property
    def signs_from(self) -> datetime:
        """When it may begin to sign."""

    @property
    def retired_at(self) -> datetime | None:
        """When an operator ended it."""


class Phase(Enum):
    """Where a key stands; the value is what operators read."""

    PUBLISHED = "published"
    SIGNING = "signing"
    VERIFYING = "verifying"
    OVER = "over"


def phases(keys: Sequence[Dated], now: datetime) -> list[Phase]:
    """Return the phase of each of `keys`, which stand from oldest to newest.

    The newest whose time has come signs, and no other does in its stead; the one before it goes on verifying until
    its last token is over. A retired key is over at once, whatever that breaks.
    """
    told: list[Phase] = []
    successor: datetime | None = None
    for key in reversed(keys):
        if key.retired_at is not None:
            told.append(Phase.OVER)
        elif key.signs_from > now:
            told.append(Phase.PUBLISHED)
        elif successor is None:
            told.append(Phase.SIGNING)
            successor = key.signs_from
        else:
            told.append(Phase.VERIFYING if now < successor + STILL_VERIFIES else Phase.OVER)
            successor = key.signs_from
    return told[::-1]
