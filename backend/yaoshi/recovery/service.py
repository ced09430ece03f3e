"""Recovering an account whose password is lost."""

from dataclasses import dataclass
from typing import ClassVar

from yaoshi.accounts import queries
from yaoshi.accounts.policy import Handle
from yaoshi.accounts.service import Accounts
from yaoshi.codes.policy import Purpose, read_code
from yaoshi.codes.service import CodeRejected, Codes, Issued, Subject, Try
from yaoshi.core.db import Database
from yaoshi.core.errors import Overloaded, StorageUnavailable
from yaoshi.core.types import Caller, Event
from yaoshi.limits.service import Limiter
from yaoshi.messaging.service import Messages
from yaoshi.passwords.renewal import Renewal
from yaoshi.passwords.service import Passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetRequested(Event):
    """Somebody asked for a reset code; without `user_id` it was in vain."""

    name: ClassVar[str] = "recovery.requested"
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetRefused(Event):
    """A code was tried in vain."""

    name: ClassVar[str] = "recovery.refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordReset(Event):
    """A code bought a new password; every session is over."""

    name: ClassVar[str] = "recovery.password_reset"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who somebody says they are, and the contact they say is theirs. `channel` is "email" or "phone"."""

    handle: Handle
    channel: str
    contact: str


class Recovery:
    """From a forgotten password to a new one. Ends every session; opens none."""

    def __init__(
        self,
        db: Database,
        limiter: Limiter,
        codes: Codes,
        messages: Messages,
        accounts: Accounts,
        passwords: Passwords,
        renewal: Renewal,
    ) -> None:
        self._db, self._limiter, self._messages = db, limiter, messages
        self._codes, self._accounts, self._passwords, self._renewal = codes, accounts, passwords, renewal

    def start(self, caller: Caller, claim: Claim) -> Issued | None:
        """Promise a reset code to the bound contact of an active account; return it, or None when none was admitted.

        Every other case goes the same way with a code that is nobody's: nothing here tells them apart.
        """
        account = queries.by_handle(self._db, claim.handle)
        admitted = self._limiter.admits_code(caller, claim.channel, queries.counter_key(account, claim.handle))
        user_id = queries.holder(account, claim.channel, claim.contact)
        subject = self._subject(user_id if admitted else None, claim)
        with self._db.write(caller) as work:
            issued = self._codes.issue(work, subject)
            to = queries.address(account if subject.user_id else None, claim.channel)
            self._messages.promise_code(work, "reset_code", (claim.channel, to), issued)
            work.record(ResetRequested(user_id=subject.user_id, channel=claim.channel))
        return issued if admitted else None

    def finish(self, caller: Caller, claim: Claim, typed: str, new_password: str) -> None:
        """Set `new_password`, which has been judged, with a code that was sent to the claimed contact.

        Raises CodeRejected for every cause, Overloaded before anything is spent.
        """
        code = read_code(typed)
        if code is None:
            raise CodeRejected()
        with self._passwords.hashing() as hashing:
            account = queries.by_handle(self._db, claim.handle)
            subject = self._subject(queries.holder(account, claim.channel, claim.contact), claim)
            tried = self._spend(caller, subject, code)
            if not tried.right or tried.user_id is None:
                raise CodeRejected()
            try:
                self._settle(caller, tried, tried.user_id, hashing.hash(new_password))
            except (StorageUnavailable, Overloaded):
                with self._db.write(caller) as work:
                    self._codes.give_back(work, tried)
                raise
        self._messages.proved(claim.channel, queries.address(account, claim.channel))

    def _subject(self, user_id: int | None, claim: Claim) -> Subject:
        contact = queries.contact_key(claim.channel, claim.contact)
        bound = (claim.channel, contact) if user_id else (claim.handle.key, claim.channel, contact)
        return self._codes.subject(Purpose.RESET, user_id, bound, (claim.channel, contact))

    def _spend(self, caller: Caller, subject: Subject, code: str) -> Try:
        with self._db.write(caller) as work:
            tried = self._codes.spend(work, subject, code)
            if not tried.right:
                work.record(ResetRefused(user_id=subject.user_id))
        return tried

    def _settle(self, caller: Caller, tried: Try, user_id: int, digest: str) -> None:
        with self._db.write(caller) as work:
            now = queries.held(work, user_id)
            if now is None or now.disabled_at is not None or not self._codes.win(work, tried):
                raise CodeRejected()
            # Whoever else planted a contact here did not prove it: from now on it opens nothing, and is told so.
            self._accounts.prove(work, user_id, tried.channel, alone=True)
            self._renewal.renew(work, user_id, digest, before=now)
            work.record(PasswordReset(user_id=user_id))
