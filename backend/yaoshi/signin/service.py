"""Signing in."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from yaoshi.accounts import queries as accounts
from yaoshi.accounts.policy import Handle
from yaoshi.accounts.queries import Profile
from yaoshi.accounts.slips import CONTACT_TICKET as TICKET
from yaoshi.accounts.slips import TICKET_LIFE, Slips
from yaoshi.core.db import Database
from yaoshi.core.errors import Kind, Problem
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller, Event
from yaoshi.limits.service import Limiter
from yaoshi.passwords.service import Passwords
from yaoshi.sessions.service import Sessions, Tokens


class WrongCredentials(Problem):
    """One answer for every cause: no such name, wrong password, disabled account."""

    kind, code = Kind.UNAUTHENTICATED, "wrong_credentials"
    phrase = Phrase("That name and password do not match.", "用户名或密码错误。")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn(Event):
    """A session was opened, by a password or a code."""

    name: ClassVar[str] = "signin.succeeded"
    session_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRefused(Event):
    """A password or a code failed; without `user_id` the name was nobody's. The typed name is not kept."""

    name: ClassVar[str] = "signin.refused"
    reason: str


class Outcome(Enum):
    """What a password attempt earned; the value is what the audit log keeps."""

    ADMIT = "admit"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105  # the name of a refusal
    DISABLED = "disabled"
    UNPROVEN = "contact_unverified"


def judge_signin(*, password_ok: bool, active: bool, proven: bool) -> Outcome:
    """Decide what a password attempt earns.

    Standing is looked at only after the password: a stranger must not learn that an account is disabled, and the
    log must not call a guess anything else than a guess.
    """
    if not password_ok:
        return Outcome.WRONG_PASSWORD
    if not active:
        return Outcome.DISABLED
    return Outcome.ADMIT if proven else Outcome.UNPROVEN


class ContactUnverified(Problem):
    """The password was right, but this installation wants a proven contact first. `contact_ticket` lets prove one."""

    kind, code = Kind.FORBIDDEN, "contact_unverified"
    phrase = Phrase("Please verify your e-mail address or phone number first.", "请先验证邮箱或手机号。")

    def __init__(self, contact_ticket: str) -> None:
        super().__init__()
        self.members = {"contact_ticket": contact_ticket}


class SignIn:
    """The journey from a stranger at the door to an open session."""

    def __init__(
        self,
        db: Database,
        limiter: Limiter,
        passwords: Passwords,
        sessions: Sessions,
        slips: Slips,
        *,
        proven_only: bool,
    ) -> None:
        self._db, self._limiter, self._passwords, self._sessions = db, limiter, passwords, sessions
        self._slips, self._proven_only = slips, proven_only

    def with_password(
        self, caller: Caller, handle: Handle, plain: str, *, replacing: str | None = None
    ) -> tuple[Tokens, Profile]:
        """Sign in with a name and a password; `replacing` is the refresh token that the device held until now.

        Raises TooManyAttempts, Overloaded, and WrongCredentials for every cause; the true one goes to the audit log.
        Raises ContactUnverified where the operator demands a proven contact and there is none.
        """
        with self._limiter.attempt() as attempt:
            self._limiter.spend(attempt, "login_pair", handle.key, caller.source)
            self._limiter.spend_by_address(attempt, caller, "login_address")
            with self._passwords.hashing() as hashing:
                account = accounts.by_handle(self._db, handle)
                self._limiter.spend(attempt, "login_account", *accounts.counter_key(account, handle))

                checked = hashing.check(account and account.password_hash, plain, handle.key)

            with self._db.write(caller) as work:
                # Between reading and writing the world may change: is this very hash still the password?
                now = accounts.held(work, account.profile.id if account else 0)
                outcome = judge_signin(
                    password_ok=checked.right
                    and account is not None
                    and now is not None
                    and now.password_hash == account.password_hash,
                    active=now is not None and now.disabled_at is None,
                    proven=not self._proven_only or (now is not None and accounts.is_any_proven(now.profile)),
                )
                if outcome is Outcome.ADMIT and now is not None:
                    if checked.fresh:
                        self._passwords.replace(work, now.profile.id, checked.fresh, replacing=now.password_hash)
                    tokens = self._sessions.open(work, now.profile, replacing=replacing)
                    work.record(SignedIn(user_id=now.profile.id, session_id=tokens.session_id, by="password"))
                    return tokens, now.profile
                work.record(SignInRefused(user_id=account.profile.id if account else None, reason=outcome.value))
            if outcome is Outcome.UNPROVEN and now is not None:
                raise ContactUnverified(self._slips.write(TICKET, now.profile.id, now.password_hash, TICKET_LIFE))
            attempt.keep()
        raise WrongCredentials()
