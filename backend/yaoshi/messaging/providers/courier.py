"""What every provider does, and the three ways in which it can fail."""

import sys
from abc import ABC, abstractmethod
from collections import deque

from yaoshi.messaging.letters import Letter

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
MOST_SHOWN = 50


class Unreached(Exception):
    """The provider surely has not taken the message: the next one may be asked at once."""


class Unsure(Exception):
    """The provider may have taken the message and could not say so: it is sent again later, with the same key."""


class Refused(Exception):
    """The provider will never take this message, as it says."""


class KeyRefused(Unreached):
    """The provider does not take our key, or this key may not do what was asked."""

    def __init__(self, said: str) -> None:
        super().__init__(f"it does not take the key: {said}"[:80])


class Courier(ABC):
    """A provider. `name` is what the operator calls it."""

    name: str
    idempotent = False
    """Whether a message that comes twice with one key reaches people once."""

    def carries(self, kind: str) -> bool:
        """Return whether messages of this kind can go by this provider."""
        return True

    @abstractmethod
    def send(self, letter: Letter) -> str:
        """Hand over `letter`; return the number of its receipt, empty where the provider gives none.

        Raises Unreached, Unsure, Refused, each with a reason that holds no secret.
        """

    def delivered(self, receipt: str, letter: Letter) -> bool | None:
        """Return whether the telephone has what `send` gave this receipt for; None while nobody knows.

        Raises what `send` raises: Refused where this key may not ask.
        """
        return None

    @abstractmethod
    def greet(self) -> None:
        """Reach the provider, show it our key, and send nothing.

        Raises Unreached, Unsure, each with a reason; where the key is at fault the reason says so.
        """


class Console(Courier):
    """Writes messages to the developer's own screen, and keeps the last of them: in development alone."""

    name = "console"

    def __init__(self) -> None:
        self.shown: deque[Letter] = deque(maxlen=MOST_SHOWN)

    def send(self, letter: Letter) -> str:
        """Show `letter`, in one write, so that the lines of several messages do not mix."""
        self.shown.appendleft(letter)
        words = letter.text if "@" in letter.to else letter.sms
        shown = "".join(f"  | {line}\n" for line in words.strip().splitlines())
        sys.stderr.write(f"message to {letter.to} ({letter.kind}, {letter.language})\n{shown}")
        sys.stderr.flush()
        return ""

    def greet(self) -> None:
        """Do nothing: the screen is there."""
