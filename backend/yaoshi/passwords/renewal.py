"""Giving an account another password, and ending what the old one opened."""

from yaoshi.accounts.notices import Notice, Notices
from yaoshi.accounts.queries import Account
from yaoshi.codes.service import Codes
from yaoshi.core import random
from yaoshi.core.db import Work
from yaoshi.passwords.service import Passwords
from yaoshi.sessions.service import Sessions


def _no_password() -> str:
    """Return a hash that no password opens, another each time: what holds for the one before ends with it."""
    return f"!{random.token()}"


class Renewal:
    """Replaces a password: every session and every code of the account ends in the same transaction."""

    def __init__(self, passwords: Passwords, sessions: Sessions, codes: Codes, notices: Notices) -> None:
        self._passwords, self._sessions, self._codes, self._notices = passwords, sessions, codes, notices

    def renew(
        self, work: Work, user_id: int, digest: str, *, replacing: str | None = None, before: Account | None = None
    ) -> bool:
        """Make `digest` the account's password, given `replacing` only if that is still the stored one; tell the owner.

        `before` is the account as it was, where contacts have lost their power since: those hear of it too. Return
        whether it was replaced.
        """
        if not self.end(work, user_id, digest, replacing=replacing):
            return False
        self._notices.send(work, Notice.PASSWORD_CHANGED, user_id, before=before)
        return True

    def end(self, work: Work, user_id: int, digest: str | None = None, *, replacing: str | None = None) -> bool:
        """Replace the password by `digest`, none by default, and end everything, without a word to anybody."""
        if not self._passwords.replace(work, user_id, digest or _no_password(), replacing=replacing):
            return False
        self._sessions.end_all(work, user_id)
        self._codes.void_all(work, user_id)
        return True
