"""Proving a contact, and changing it."""

from dataclasses import dataclass
from typing import ClassVar

from yaoshi.accounts import queries
from yaoshi.accounts.notices import Notice, Notices
from yaoshi.accounts.policy import read_email, read_phone
from yaoshi.accounts.queries import Account, Profile
from yaoshi.accounts.service import Accounts
from yaoshi.accounts.slips import CONTACT_TICKET, Slips
from yaoshi.codes.policy import Purpose, read_code
from yaoshi.codes.service import CodeRejected, Codes, Issued
from yaoshi.core.db import Database, Work
from yaoshi.core.errors import Fault, InvalidRequest
from yaoshi.core.types import Caller, Event
from yaoshi.limits.service import Limiter
from yaoshi.messaging.service import Messages
from yaoshi.passwords.service import Passwords
from yaoshi.sessions.service import Sessions, Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactCodeRequested(Event):
    """An owner asked for a code to prove a contact; `moving` says whether it would take the place of another."""

    name: ClassVar[str] = "contacts.code_requested"
    channel: str
    moving: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactCodeRefused(Event):
    """A code was tried in vain."""

    name: ClassVar[str] = "contacts.code_refused"
    channel: str


class Contacts:
    """What an owner, signed in or with a ticket from sign-in, does with an e-mail address and a phone number."""

    def __init__(
        self,
        db: Database,
        limiter: Limiter,
        codes: Codes,
        messages: Messages,
        accounts: Accounts,
        passwords: Passwords,
        notices: Notices,
    ) -> None:
        self._db, self._limiter, self._codes, self._messages = db, limiter, codes, messages
        self._accounts, self._passwords, self._notices = accounts, passwords, notices

    def start(self, caller: Caller, who: Profile, channel: str) -> Issued:
        """Promise a code to the account's own contact. Raises TooManyAttempts, InvalidRequest when there is none."""
        contact = who.email if channel == "email" else who.phone
        if not contact:
            raise InvalidRequest([Fault(channel, "missing")])
        self._spend(who.id, channel)
        with self._db.write(caller) as work:
            work.record(ContactCodeRequested(user_id=who.id, channel=channel, moving=False))
            return self._promise(work, who.id, channel, contact)

    def move(self, caller: Caller, who: Profile, channel: str, typed: str, plain: str) -> Issued:
        """Promise a code to a new contact, and tell the old one; nothing changes until the code is typed in.

        A contact that belongs to somebody else, or that many accounts ask for, is answered alike, and sent nothing.
        Raises InvalidRequest (unusable contact, wrong password), TooManyAttempts, Overloaded.
        """
        value, faults = _read(channel, typed)
        with self._limiter.attempt() as attempt, self._passwords.hashing() as hashing:
            self._limiter.spend(attempt, "login_account", "user", str(who.id))
            with self._db.read() as db:
                account = queries.by_id(db, who.id)
            if account is None:
                raise Unauthenticated()
            if not hashing.check(account.password_hash, plain, str(who.id)).right:
                attempt.keep()
                faults = [*faults, Fault("password", "wrong")]
            if faults:
                raise InvalidRequest(faults)
        self._spend(who.id, channel)
        with self._limiter.attempt() as attempt:
            attempt.keep()
            flooded = self._limiter.is_spent(attempt, "contact_target", queries.contact_key(channel, value))
        with self._db.write(caller) as work:
            taken = queries.is_taken(work.db, channel, value, who.id)
            work.record(ContactCodeRequested(user_id=who.id, channel=channel, moving=True))
            issued = self._promise(work, who.id, channel, value, anybodys=taken or flooded is not None)
            self._notices.send(work, Notice.CONTACT_CHANGING, who.id, leaving=channel)
        return issued

    def finish(self, caller: Caller, who: Profile, channel: str, typed: str) -> Profile:
        """Prove, with the code that was sent there, the account's contact or the new one; return the account.

        Raises CodeRejected for every cause, and IdentifierTaken when somebody else has proved the same meanwhile.
        """
        code = read_code(typed)
        if code is None:
            raise CodeRejected()
        subject = self._codes.subject(Purpose.CONTACT, who.id, (channel,), (channel, ""))
        with self._db.write(caller) as work:
            tried = self._codes.spend(work, subject, code)
            if not tried.right:
                work.record(ContactCodeRefused(user_id=who.id, channel=channel))
        if not tried.right:
            raise CodeRejected()
        with self._db.write(caller) as work:
            account = queries.held(work, who.id)
            if account is None or account.disabled_at is not None or not self._codes.win(work, tried):
                raise CodeRejected()
            self._settle(work, account, channel, tried.contact)
            profile = queries.by_id(work.db, who.id)
        self._messages.proved(channel, queries.address(profile, channel))
        return profile.profile if profile else who

    def _settle(self, work: Work, account: Account, channel: str, contact: str) -> None:
        user_id, old = account.profile.id, queries.address(account, channel)
        if queries.contact_key(channel, old) == queries.contact_key(channel, contact):
            self._accounts.prove(work, user_id, channel)
            return
        self._notices.send(work, Notice.CONTACT_CHANGED, user_id, leaving=channel)
        self._accounts.move_contact(work, user_id, channel, contact)
        # What was sent to the old contact opens nothing any more.
        self._codes.void_all(work, user_id)

    def _promise(self, work: Work, user_id: int, channel: str, contact: str, *, anybodys: bool = False) -> Issued:
        subject = self._codes.subject(Purpose.CONTACT, user_id, (channel,), (channel, contact))
        issued = self._codes.issue(work, subject, in_vain=anybodys)
        to = "" if anybodys else queries.contact_key(channel, contact) if channel == "phone" else contact
        self._messages.promise_code(work, "contact_code", (channel, to), issued)
        return issued

    def _spend(self, user_id: int, channel: str) -> None:
        with self._limiter.attempt() as attempt:
            attempt.keep()
            self._limiter.spend(attempt, "contact_account", channel, str(user_id))


class Owners:
    """Tells whose contacts a caller may prove: by a living session, or by the ticket that a sign-in gave."""

    def __init__(self, sessions: Sessions, slips: Slips) -> None:
        self._sessions, self._slips = sessions, slips

    def authenticate(self, authorization: str | None) -> Profile:
        """Return who presents this Authorization header. Raises Unauthenticated."""
        shown = authorization[7:] if authorization and authorization[:7].lower() == "bearer " else ""
        account = self._slips.read(CONTACT_TICKET, shown)
        return account.profile if account else self._sessions.authenticate(authorization).profile


def _read(channel: str, typed: str) -> tuple[str, list[Fault]]:
    if channel == "email":
        value, found = read_email(typed)
    else:
        phone, found = read_phone(typed)
        value = phone.spelled if phone else typed
    return value, [Fault("value", fault.code, fault.values) for fault in found]
