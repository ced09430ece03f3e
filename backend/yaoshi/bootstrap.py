"""Builds every long-lived object once, in dependency order."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from yaoshi import instance
from yaoshi.accounts.notices import Notices
from yaoshi.accounts.service import Accounts
from yaoshi.accounts.slips import Slips
from yaoshi.audit.service import announce
from yaoshi.codes.service import Codes
from yaoshi.contacts.service import Contacts, Owners
from yaoshi.core.db import Database
from yaoshi.core.engines import open_engines
from yaoshi.core.secretbox import SecretBox
from yaoshi.core.types import Caller, Clock, SystemClock
from yaoshi.keys.ring import KeyRing
from yaoshi.keys.service import Keys
from yaoshi.limits.service import Limiter
from yaoshi.limits.storage import Memory, Shared
from yaoshi.messaging.budget import Budget
from yaoshi.messaging.couriers import couriers_of
from yaoshi.messaging.letters import Letters
from yaoshi.messaging.receipts import Receipts
from yaoshi.messaging.service import Messages
from yaoshi.ops.installation import Installation
from yaoshi.ops.options import Options
from yaoshi.outbox.service import Outbox
from yaoshi.outbox.worker import CHANNELS, Worker
from yaoshi.passwords.change import PasswordChange
from yaoshi.passwords.renewal import Renewal
from yaoshi.passwords.service import Passwords
from yaoshi.recovery.disown import Disown
from yaoshi.recovery.service import Recovery
from yaoshi.sessions.service import Sessions
from yaoshi.sessions.tokens import RefreshTokens
from yaoshi.settings import Settings
from yaoshi.signin.code import CodeSignIn
from yaoshi.signin.service import SignIn
from yaoshi.signup.service import SignUp
from yaoshi.web.console import logo_of

RESEND = {True: timedelta(0), False: timedelta(seconds=60)}
OPERATOR = Caller(address="", agent="yaoshi", language="en", request_id="operator")


@dataclass(frozen=True, slots=True)
class House:
    """Every long-lived object of the process."""

    settings: Settings
    clock: Clock
    db: Database
    ring: KeyRing
    keys: Keys
    limiter: Limiter
    accounts: Accounts
    codes: Codes
    outbox: Outbox
    letters: Letters
    messages: Messages
    notices: Notices
    receipts: Receipts
    worker: Worker
    sessions: Sessions
    passwords: Passwords
    password_change: PasswordChange
    signup: SignUp
    signin: SignIn
    code_signin: CodeSignIn
    contacts: Contacts
    owners: Owners
    recovery: Recovery
    disown: Disown
    installation: Installation
    options: Options

    def open(self) -> None:
        """Make ready to serve: schema and mode are right, keys are there, decoys are drawn from the real mix.

        Raises SettingsRefused with a sentence for the operator.
        """
        self.installation.check()
        if not self.settings.development:
            self.installation.mark_served(OPERATOR)
        self.ring.open(OPERATOR)
        self.passwords.learn_mix()

    def close(self) -> None:
        """Let go of threads and connections."""
        self.passwords.close()
        self.db.close()


def build(settings: Settings, clock: Clock | None = None) -> House:
    """Return the house that `settings` describe; nothing is opened or asked yet."""
    settings = instance.with_own_secret(settings) if settings.development else settings
    clock = clock or SystemClock()
    reader, writer = open_engines(instance.database_url(settings))
    db = Database(reader, writer, clock, announce)
    box = SecretBox(*settings.secrets)
    resend = (
        RESEND[settings.development] if settings.resend_seconds is None else timedelta(seconds=settings.resend_seconds)
    )
    ring = KeyRing(db, clock, box, settings)
    keys = Keys(ring, clock, settings)
    shared = settings.counters == "database" or writer.dialect.name != "sqlite"
    counters = Shared(db, partial(box.digest, "counters"))
    limiter = Limiter(settings, counters if shared else Memory())
    accounts = Accounts(settings, all_roles_open=settings.development)
    codes = Codes(box, resend=resend)

    def is_open(code_id: int) -> bool:
        with db.read() as connection:
            return codes.is_open(connection, code_id, clock.now())

    outbox = Outbox(db, clock, box)
    couriers = couriers_of(settings, clock, development=settings.development)
    letters = Letters(settings.installation_name, settings.templates_dir)
    # What SMS cost is always counted in the main database, whatever counts sign-ins.
    messages = Messages(outbox, letters, couriers, Budget(counters, settings, clock), clock, is_open)
    slips = Slips(db, clock, box)
    notices = Notices(messages, slips, settings.links_url, settings.default_language)
    sessions = Sessions(db, clock, keys, limiter, RefreshTokens(box), notices, settings)
    passwords = Passwords(db, box, settings)
    renewal = Renewal(passwords, sessions, codes, notices)
    proven_only = settings.contact_verification == "required"
    return House(
        settings=settings,
        clock=clock,
        db=db,
        ring=ring,
        keys=keys,
        limiter=limiter,
        accounts=accounts,
        codes=codes,
        outbox=outbox,
        letters=letters,
        messages=messages,
        notices=notices,
        receipts=Receipts(outbox, clock, settings.sms_webhook_secret),
        worker=Worker(outbox, messages.deliver),
        sessions=sessions,
        passwords=passwords,
        password_change=PasswordChange(db, limiter, passwords, renewal),
        signup=SignUp(db, limiter, accounts, passwords),
        signin=SignIn(db, limiter, passwords, sessions, slips, proven_only=proven_only),
        code_signin=CodeSignIn(db, limiter, codes, messages, accounts, sessions),
        contacts=Contacts(db, limiter, codes, messages, accounts, passwords, notices),
        owners=Owners(sessions, slips),
        recovery=Recovery(db, limiter, codes, messages, accounts, passwords, renewal),
        disown=Disown(db, slips, accounts, renewal),
        installation=Installation(db, codes, outbox, sessions, development=settings.development),
        options=_options(settings, accounts, messages, resend),
    )


def _options(settings: Settings, accounts: Accounts, messages: Messages, resend: timedelta) -> Options:
    return Options(
        name=settings.installation_name,
        logo=logo_of(settings.installation_logo)[0] if settings.installation_logo else None,
        default_language=settings.default_language,
        open_roles=sorted(role.value for role in accounts.open_roles),
        channels=[channel for channel in CHANNELS if messages.carriers(channel, "reset_code")],
        sign_in_by_code=settings.development if settings.sign_in_by_code is None else settings.sign_in_by_code,
        contact_verification=settings.contact_verification,
        resend_seconds=int(resend.total_seconds()),
    )
