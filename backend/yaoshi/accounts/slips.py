"""Slips: short signed statements about an account, such as the link in a notice. Nothing of them is stored.

A slip ends at its time, and with the password that the account had when it was written: whoever acts on one, or sets
a new password, has used up every other.
"""

import re
from datetime import timedelta

from yaoshi.accounts import queries
from yaoshi.accounts.queries import Account
from yaoshi.core.db import Database
from yaoshi.core.secretbox import SecretBox
from yaoshi.core.types import Clock

CONTACT_TICKET, TICKET_LIFE = "contact ticket", timedelta(minutes=15)
DISOWN, LINK_LIFE = "disown", timedelta(days=7)
_SHAPE = re.compile(r"v1\.([1-9][0-9]{0,17})\.([1-9][0-9]{0,11})\.([0-9a-f]{64})")


class Slips:
    """Writes and reads slips of one `purpose` each: one is never good for another."""

    def __init__(self, db: Database, clock: Clock, box: SecretBox) -> None:
        self._db, self._clock, self._box = db, clock, box

    def write(self, purpose: str, user_id: int, password_hash: str, life: timedelta) -> str:
        """Return a slip about the account that has this password."""
        told = (str(user_id), str(int((self._clock.now() + life).timestamp())))
        return f"v1.{told[0]}.{told[1]}.{self._box.digest('slips', purpose, *told, password_hash)}"

    def read(self, purpose: str, text: str) -> Account | None:
        """Return the active account that a slip of ours is about while it holds; None for anything else."""
        shaped = _SHAPE.fullmatch(text[:200])
        if not shaped or int(shaped[2]) <= self._clock.now().timestamp():
            return None
        with self._db.read() as db:
            account = queries.by_id(db, int(shaped[1]))
        if account is None or account.disabled_at is not None:
            return None
        told = (purpose, shaped[1], shaped[2], account.password_hash)
        return account if self._box.knows(shaped[3], "slips", *told) else None
