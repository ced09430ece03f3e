"""Signing in with a code that is sent to a contact of the account."""

from dataclasses import dataclass
from typing import ClassVar

from yaoshi.accounts import queries
from yaoshi.accounts.policy import Handle
from yaoshi.accounts.queries import Account, Profile
from yaoshi.accounts.service import Accounts
from yaoshi.codes.policy import Purpose, read_code
from yaoshi.codes.service import Codes, Issued, Subject, Try
from yaoshi.core.db import Database
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller, Event
from yaoshi.limits.service import Limiter
from yaoshi.messaging.service import Messages
from yaoshi.sessions.service import Sessions, Tokens
from yaoshi.signin.service import SignedIn, SignInRefused, WrongCredentials


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInCodeRequested(Event):
    """Somebody asked for a code to sign in; without `user_id` it was in vain."""

    name: ClassVar[str] = "signin.code_requested"
    channel: str


class WrongCode(WrongCredentials):
    """One answer for every cause: no such name, wrong, spent or expired code, disabled account."""

    phrase = Phrase("That name and code do not match.", "账号与验证码不匹配。")


class CodeSignIn:
    """The journey from a stranger with a telephone or mailbox to an open session."""

    def __init__(
        self,
        db: Database,
        limiter: Limiter,
        codes: Codes,
        messages: Messages,
        accounts: Accounts,
        sessions: Sessions,
    ) -> None:
        self._db, self._limiter, self._codes, self._messages = db, limiter, codes, messages
        self._accounts, self._sessions = accounts, sessions

    def start(self, caller: Caller, handle: Handle, channel: str) -> Issued | None:
        """Promise a code to the account's contact of `channel`; return it, or None when none was admitted.

        Every other case goes the same way with a code that is nobody's: nothing here tells them apart.
        """
        account = queries.by_handle(self._db, handle)
        admitted = self._limiter.admits_code(caller, channel, queries.counter_key(account, handle))
        known = account if account and _opens(account, channel) else None
        to = queries.address(known, channel)
        subject = self._subject(known if admitted and to else None, handle, (channel, to))
        with self._db.write(caller) as work:
            issued = self._codes.issue(work, subject)
            self._messages.promise_code(work, "sign_in_code", (channel, to if subject.user_id else ""), issued)
            work.record(SignInCodeRequested(user_id=subject.user_id, channel=channel))
        return issued if admitted else None

    def finish(
        self, caller: Caller, handle: Handle, typed: str, *, replacing: str | None = None
    ) -> tuple[Tokens, Profile]:
        """Sign in with a name and a code; the contact that the code went to is proven by it.

        `replacing` is the refresh token that the device held until now. Raises TooManyAttempts, and WrongCode for every
        cause.
        """
        with self._limiter.attempt() as attempt:
            self._limiter.spend(attempt, "login_pair", handle.key, caller.source)
            self._limiter.spend_by_address(attempt, caller, "login_address")
            account = queries.by_handle(self._db, handle)
            self._limiter.spend(attempt, "login_account", *queries.counter_key(account, handle))
            tried = self._spend(caller, self._subject(account, handle, ("", "")), read_code(typed))
            admitted = self._admit(caller, tried, replacing) if tried and tried.right else None
            if admitted and tried:
                self._messages.proved(tried.channel, tried.contact)
                return admitted
            attempt.keep()
        raise WrongCode()

    def _subject(self, account: Account | None, handle: Handle, to: tuple[str, str]) -> Subject:
        user_id = account.profile.id if account else None
        return self._codes.subject(Purpose.SIGN_IN, user_id, () if account else (handle.key,), to)

    def _spend(self, caller: Caller, subject: Subject, code: str | None) -> Try | None:
        if code is None:
            return None
        with self._db.write(caller) as work:
            tried = self._codes.spend(work, subject, code)
            if not tried.right:
                work.record(SignInRefused(user_id=subject.user_id, reason="wrong_code"))
        return tried

    def _admit(self, caller: Caller, tried: Try, replacing: str | None) -> tuple[Tokens, Profile] | None:
        with self._db.write(caller) as work:
            now = queries.held(work, tried.user_id or 0)
            if now is None or not _opens(now, tried.channel) or not self._codes.win(work, tried):
                return None
            if queries.address(now, tried.channel) != tried.contact:
                return None
            self._accounts.prove(work, now.profile.id, tried.channel)
            tokens = self._sessions.open(work, now.profile, replacing=replacing)
            work.record(SignedIn(user_id=now.profile.id, session_id=tokens.session_id, by="code"))
            again = queries.by_id(work.db, now.profile.id)
        return tokens, (again or now).profile


def _opens(account: Account, channel: str) -> bool:
    # Whoever opened the account with an address of somebody else still has its password and sessions: such an address
    # leads in through a reset, which ends both. Source: threats C26.
    return queries.has_power(account, channel) and queries.is_vouched_for(account, channel)
