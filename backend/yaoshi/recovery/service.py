"""Recovering an account whose password is lost."""

from dataclasses import dataclass
from typing import ClassVar

from yaoshi.accounts import queries as accounts
from yaoshi.accounts.policy import Handle
from yaoshi.codes.service import CodeRejected, Codes, Subject, Try, read_code
from yaoshi.core.db import Database
from yaoshi.core.errors import Overloaded, StorageUnavailable
from yaoshi.core.types import Caller, Event
from yaoshi.limits.service import Limiter, TooManyAttempts
from yaoshi.messaging.service import Messages
from yaoshi.passwords.service import Passwords
from yaoshi.sessions.service import Sessions


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
        passwords: Passwords,
        sessions: Sessions,
    ) -> None:
        self._db, self._limiter, self._messages = db, limiter, messages
        self._codes, self._passwords, self._sessions = codes, passwords, sessions

    def start(self, caller: Caller, claim: Claim) -> str | None:
        """Promise a reset code to the bound contact of an active account; return it, or None when none was made.

        Every other case goes the same way with a code that is nobody's: nothing here tells them apart.
        """
        account = accounts.by_handle(self._db, claim.handle)
        admitted = self._admits(caller, claim, accounts.counter_key(account, claim.handle))
        user_id = accounts.holder(account, claim.channel, claim.contact)
        subject = self._subject(user_id if admitted else None, claim)
        with self._db.write(caller) as work:
            issued = self._codes.issue(work, subject)
            to = accounts.address(account if subject.user_id else None, claim.channel)
            self._messages.promise_code(
                work, "reset_code", (claim.channel, to), issued.plain, issued.code_id, issued.expires_at
            )
            work.record(ResetRequested(user_id=subject.user_id, channel=claim.channel))
        return issued.shown if admitted else None

    def finish(self, caller: Caller, claim: Claim, typed: str, new_password: str) -> None:
        """Set `new_password`, which has been judged, with a code that was sent to the claimed contact.

        Raises CodeRejected for every cause, Overloaded before anything is spent.
        """
        code = read_code(typed)
        if code is None:
            raise CodeRejected()
        with self._passwords.hashing() as hashing:
            account = accounts.by_handle(self._db, claim.handle)
            subject = self._subject(accounts.holder(account, claim.channel, claim.contact), claim)
            tried = self._spend(caller, subject, code)
            if not tried.right or tried.user_id is None:
                raise CodeRejected()
            try:
                self._settle(caller, tried, tried.user_id, hashing.hash(new_password))
            except (StorageUnavailable, Overloaded):
                with self._db.write(caller) as work:
                    self._codes.give_back(work, tried)
                raise
        self._messages.proved(claim.channel, accounts.address(account, claim.channel))

    def _admits(self, caller: Caller, claim: Claim, counter: tuple[str, str]) -> bool:
        try:
            with self._limiter.attempt() as attempt:
                attempt.keep()
                self._limiter.spend_by_address(attempt, caller, "reset_address")
                self._limiter.spend(attempt, "reset_account", claim.channel, *counter)
        except TooManyAttempts:
            return False
        return True

    def _subject(self, user_id: int | None, claim: Claim) -> Subject:
        contact = accounts.contact_key(claim.channel, claim.contact)
        return self._codes.subject(user_id, claim.channel, contact, claim.handle.key)

    def _spend(self, caller: Caller, subject: Subject, code: str) -> Try:
        with self._db.write(caller) as work:
            tried = self._codes.spend(work, subject, code)
            if not tried.right:
                work.record(ResetRefused(user_id=subject.user_id))
        return tried

    def _settle(self, caller: Caller, tried: Try, user_id: int, digest: str) -> None:
        with self._db.write(caller) as work:
            now = accounts.held(work, user_id)
            if now is None or now.disabled_at is not None or not self._codes.win(work, tried):
                raise CodeRejected()
            self._passwords.replace(work, user_id, digest)
            self._sessions.end_all(work, user_id)
            self._codes.void_all(work, user_id)
            work.record(PasswordReset(user_id=user_id))
