"""Refresh tokens as text: `version.session.counter.mac`. Nothing of them is stored, so nothing can be copied.

The mac is checked before any database access: garbage costs an HMAC and leaves no trace.
"""

import re
from typing import NamedTuple

from yaoshi.core.secretbox import SecretBox

_PURPOSE = "refresh tokens"
_SHAPE = re.compile(r"v1\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(0|[1-9][0-9]{0,8})\.([0-9a-f]{64})")


class Presented(NamedTuple):
    """What a token of ours names: a session, and which of its tokens this is."""

    session_id: str
    counter: int


class RefreshTokens:
    """Writes and reads refresh tokens under a key of their own."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def write(self, session_id: str, counter: int) -> str:
        """Return token number `counter` of a session; the same text however often it is asked for."""
        return f"v1.{session_id}.{counter}.{self._box.digest(_PURPOSE, session_id, str(counter))}"

    def read(self, text: str) -> Presented | None:
        """Return what `text` names, None for anything that we did not write in exactly this spelling."""
        shaped = _SHAPE.fullmatch(text[:200])
        if not shaped or not self._box.knows(shaped[3], _PURPOSE, shaped[1], shaped[2]):
            return None
        return Presented(shaped[1], int(shaped[2]))
