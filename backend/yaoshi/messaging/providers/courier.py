"""What every provider does, and the three ways in which it can fail."""

import sys
from typing import Protocol

from yaoshi.messaging.letters import Letter

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0


class Unreached(Exception):
    """The provider surely has not taken the message: the next one may be asked at once."""


class Unsure(Exception):
    """The provider may have taken the message and could not say so: it is sent again later, with the same key."""


class Refused(Exception):
    """The provider will never take this message, as it says."""


class Courier(Protocol):
    """A provider. `name` is what the operator calls it."""

    name: str

    def send(self, letter: Letter) -> None:
        """Hand over `letter`. Raises Unreached, Unsure, Refused, each with a reason that holds no secret."""
        ...


class Console:
    """Writes messages to the developer's own screen: in development alone, since it shows codes."""

    name = "console"

    def send(self, letter: Letter) -> None:
        """Show `letter`, in one write, so that the lines of several messages do not mix."""
        words = letter.text if "@" in letter.to else letter.sms
        shown = "".join(f"  | {line}\n" for line in words.strip().splitlines())
        sys.stderr.write(f"message to {letter.to} ({letter.kind}, {letter.language})\n{shown}")
        sys.stderr.flush()
