"""Slips: short signed statements about an account, such as the link in a notice. Nothing of them is stored.

A slip ends at its time, and with the password that the account had when it was written: whoever acts on one, or sets
a new password, has used up every other. One against a contact's change outlives the password, which whoever made the
change may know: it holds while another, proven contact stands in the place of the former one.
"""

import re
from datetime import timedelta

from yaoshi.accounts import queries
from yaoshi.accounts.queries import Account
from yaoshi.core.db import Database
from yaoshi.core.secretbox import SecretBox
from yaoshi.core.types import Clock

CONTACT_TICKET, TICKET_LIFE = "contact ticket", timedelta(minutes=15)
_FORMER = "disown a contact"
DISOWN, LINK_LIFE = "disown", timedelta(days=7)
_SHAPE = re.compile(r"v1\.([1-9][0-9]{0,17})\.([1-9][0-9]{0,11})\.(?:(email|phone)\.([0-9a-f]{16})\.)?([0-9a-f]{32})")
_MAC_LENGTH, _MARK_LENGTH = 32, 16
"""In hex digits: 128 bits can't be guessed, and a link of 80 characters has room in an SMS."""


class Slips:
    """Writes and reads slips of one `purpose` each: one is never good for another."""

    def __init__(self, db: Database, clock: Clock, box: SecretBox) -> None:
        self._db, self._clock, self._box = db, clock, box

    def write(self, purpose: str, user_id: int, password_hash: str, life: timedelta) -> str:
        """Return a slip about the account that has this password."""
        told = (str(user_id), str(int((self._clock.now() + life).timestamp())))
        return f"v1.{told[0]}.{told[1]}.{self._box.digest('slips', purpose, *told, password_hash)[:_MAC_LENGTH]}"

    def write_former(self, account: Account, channel: str, life: timedelta) -> str:
        """Return a slip against whatever contact of `channel` comes after the account's own one."""
        until = str(int((self._clock.now() + life).timestamp()))
        told = (str(account.profile.id), until, channel, self._mark(account, channel))
        return f"v1.{'.'.join(told)}.{self._box.digest('slips', _FORMER, *told)[:_MAC_LENGTH]}"

    def read(self, purpose: str, text: str) -> Account | None:
        """Return the active account that a slip of ours is about while it holds; None for anything else."""
        shaped, account = self._find(text)
        if not shaped or not account or shaped[3]:
            return None
        told = (purpose, shaped[1], shaped[2], account.password_hash)
        return account if self._box.knows(shaped[5], "slips", *told, length=_MAC_LENGTH) else None

    def read_former(self, text: str) -> tuple[Account, str] | None:
        """Return the account and the channel of a slip against a contact's change, while that contact is proven."""
        shaped, account = self._find(text)
        if not shaped or not account or not shaped[3]:
            return None
        if not self._box.knows(shaped[5], "slips", _FORMER, *shaped.groups()[:4], length=_MAC_LENGTH):
            return None
        replaced = self._mark(account, shaped[3]) != shaped[4] and queries.is_proven(account.profile, shaped[3])
        return (account, shaped[3]) if replaced else None

    def _find(self, text: str) -> tuple[re.Match[str] | None, Account | None]:
        shaped = _SHAPE.fullmatch(text[:250])
        if not shaped or int(shaped[2]) <= self._clock.now().timestamp():
            return None, None
        with self._db.read() as db:
            account = queries.by_id(db, int(shaped[1]))
        return shaped, account if account and account.disabled_at is None else None

    def _mark(self, account: Account, channel: str) -> str:
        contact = queries.contact_key(channel, queries.address(account, channel))
        return self._box.digest("former contacts", str(account.profile.id), channel, contact)[:_MARK_LENGTH]
