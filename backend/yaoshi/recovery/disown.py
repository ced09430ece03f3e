"""What an owner does with the "this was not me" of a notice."""

from dataclasses import dataclass
from typing import ClassVar

from yaoshi.accounts.service import Accounts
from yaoshi.accounts.slips import DISOWN, Slips
from yaoshi.core.db import Database
from yaoshi.core.errors import Kind, Problem
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller, Event
from yaoshi.passwords.renewal import Renewal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDisowned(Event):
    """The owner said "this was not me": sessions, codes and the password are over."""

    name: ClassVar[str] = "recovery.disowned"


class LinkRejected(Problem):
    """The link of a notice is spent, too old, or not ours. One answer for every cause."""

    kind, code = Kind.REJECTED, "link_rejected"
    phrase = Phrase(
        "The link is no longer valid. If you can't sign in, reset your password.",
        "链接已失效。如无法登录，请重置密码。",
    )


class Disown:
    """Shuts everybody out at once; the owner comes back by a reset through a contact of the account."""

    def __init__(self, db: Database, slips: Slips, accounts: Accounts, renewal: Renewal) -> None:
        self._db, self._slips, self._accounts, self._renewal = db, slips, accounts, renewal

    def act(self, caller: Caller, token: str) -> None:
        """End every session, every code and the password itself. Raises LinkRejected.

        The link works once: it holds only for the password that it ends. That of a contact's change takes the power of
        the contact that came instead; the former one does not come back by itself, its mailbox may be another's by now.
        """
        account, channel = self._slips.read(DISOWN, token), ""
        if account is None:
            account, channel = self._slips.read_former(token) or (None, "")
        if account is None:
            raise LinkRejected()
        user_id = account.profile.id
        with self._db.write(caller) as work:
            # Of several clicks at once either guard lets one through.
            if channel and not self._accounts.withdraw(work, user_id, channel):
                raise LinkRejected()
            if not self._renewal.end(work, user_id, replacing=None if channel else account.password_hash):
                raise LinkRejected()
            work.record(AccountDisowned(user_id=user_id))
