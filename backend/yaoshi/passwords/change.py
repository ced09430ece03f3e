"""Changing one's password while signed in."""

from dataclasses import dataclass
from typing import ClassVar

from yaoshi.accounts import queries as accounts
from yaoshi.accounts.queries import Principal
from yaoshi.core.db import Database
from yaoshi.core.errors import Fault, InvalidRequest
from yaoshi.core.types import Caller, Event
from yaoshi.limits.service import Limiter
from yaoshi.passwords.policy import judge
from yaoshi.passwords.renewal import Renewal
from yaoshi.passwords.service import Passwords
from yaoshi.sessions.service import Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged(Event):
    """The owner replaced the password; every session is over."""

    name: ClassVar[str] = "passwords.changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChangeRefused(Event):
    """Somebody signed in, or with a stolen token, did not know the old password."""

    name: ClassVar[str] = "passwords.change_refused"


class PasswordChange:
    """From the old password to a new one. Ends every session, this one included."""

    def __init__(self, db: Database, limiter: Limiter, passwords: Passwords, renewal: Renewal) -> None:
        self._db, self._limiter, self._passwords, self._renewal = db, limiter, passwords, renewal

    def change(self, caller: Caller, who: Principal, old: str, new: str) -> None:
        """Replace `old` by `new`.

        Raises InvalidRequest telling all at once (wrong old password, weak or equal new one), TooManyAttempts
        after too many wrong old passwords, Overloaded. Of parallel changes one wins.
        """
        user_id = who.profile.id
        faults = judge(new, "new_password")
        if old == new:
            faults.append(Fault("new_password", "same_as_old"))
        with self._limiter.attempt() as attempt, self._passwords.hashing() as hashing:
            self._limiter.spend(attempt, "login_account", "user", str(user_id))
            with self._db.read() as db:
                account = accounts.by_id(db, user_id)
            if account is None:
                raise Unauthenticated()
            if not hashing.check(account.password_hash, old, str(user_id)).right:
                attempt.keep()
                faults.insert(0, Fault("old_password", "wrong"))
                with self._db.write(caller) as work:
                    work.record(PasswordChangeRefused(user_id=user_id))
            if faults:
                raise InvalidRequest(faults)
            digest = hashing.hash(new)
        with self._db.write(caller) as work:
            if not self._renewal.renew(work, user_id, digest, replacing=account.password_hash):
                raise InvalidRequest([Fault("old_password", "wrong")])
            work.record(PasswordChanged(user_id=user_id))
