"""Codes: issued, tried, spent. The one place where asking in vain costs the same as asking in earnest."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field
from sqlalchemy import BigInteger, Connection, bindparam, case, delete, func, literal_column, or_, select, update

from yaoshi.codes.models import Code
from yaoshi.codes.policy import DAY, HOUR, LETTERS, OWN_WINDOW, Purpose, Shape, is_attacked, shape_of
from yaoshi.core import random
from yaoshi.core.config import Group
from yaoshi.core.db import Work, insert_into
from yaoshi.core.errors import Kind, Problem
from yaoshi.core.phrases import Phrase
from yaoshi.core.secretbox import SecretBox
from yaoshi.messaging.budget import alarm

LIFETIME = timedelta(minutes=10)
MOST_ATTEMPTS = 5

# Of parallel requests for one subject each sees what the one before has made.
_TURN = select(func.pg_advisory_xact_lock(bindparam("turn", type_=BigInteger)))
_YOUNG = (
    select(Code.id)
    .where(Code.subject == bindparam("of"), Code.contact_value == bindparam("contact"))
    .where(Code.used.is_(False), Code.created_at > bindparam("since"))
    .limit(1)
)
_NEWEST = (
    select(Code.id, Code.code_hash, Code.user_id, Code.channel, Code.contact_value)
    .where(Code.subject == bindparam("of"), Code.used.is_(False))
    .order_by(Code.id.desc())
    .limit(1)
)
_OWN_GUESSES = select(func.coalesce(func.sum(Code.attempts), 0)).where(
    Code.attempts > literal_column("0"), Code.user_id == bindparam("whose"), Code.created_at > bindparam("since")
)
_ALL_GUESSES = select(
    func.coalesce(func.sum(case((Code.created_at > bindparam("hour"), Code.attempts), else_=0)), 0),
    func.coalesce(func.sum(Code.attempts), 0),
).where(Code.attempts > literal_column("0"), Code.created_at > bindparam("day"))  # as the index has it
_VOID_OLDER = update(Code).where(Code.subject == bindparam("of"), Code.used.is_(False)).values(used=True)
_ISSUE = insert_into(Code)
_OPEN = select(Code.id).where(
    Code.id == bindparam("asked"),
    Code.used.is_(False),
    Code.attempts < MOST_ATTEMPTS,
    Code.expires_at > bindparam("now"),
    Code.user_id.is_not(None),
)
_SPEND = (
    update(Code)
    .where(
        Code.id == bindparam("tried"),
        Code.used.is_(False),
        Code.attempts < MOST_ATTEMPTS,
        Code.expires_at > bindparam("now"),
    )
    .values(attempts=Code.attempts + 1)
)


class CodeSettings(Group):
    """Settings of one-time codes."""

    resend_seconds: int | None = Field(None, ge=0, le=600)
    """A new code for the same contact is made no sooner than this after the last one.
    Default: 60 in production, 0 in development."""

    sign_in_by_code: bool | None = None
    """Whether people may sign in with a code that is sent to them. Default: not in production, in development."""


class CodeRejected(Problem):
    """One answer for every cause: wrong, spent, expired, never asked for, for somebody else."""

    kind, code = Kind.REJECTED, "code_rejected"
    phrase = Phrase("The code is not valid. Please ask for a new one.", "验证码无效，请重新获取。")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom and what a code is for. `key` is unlinkable without the key behind it; nobody's code has no `user_id`."""

    key: str
    user_id: int | None
    channel: str
    contact: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A code that was made. Within the resend interval it is nobody's, and `shown` is None."""

    code_id: int
    plain: str
    shown: str | None
    expires_at: datetime
    expires_in: int = int(LIFETIME.total_seconds())


@dataclass(frozen=True, slots=True)
class Try:
    """One spent try: whether the code was right, whose it is, and the contact that it went to."""

    code_id: int
    right: bool
    user_id: int | None
    channel: str
    contact: str


class Codes:
    """Issues codes, spends tries before it compares, lets a code win once."""

    def __init__(self, box: SecretBox, *, resend: timedelta) -> None:
        self._box, self._resend = box, resend

    def subject(self, purpose: Purpose, user_id: int | None, bound: tuple[str, ...], to: tuple[str, str]) -> Subject:
        """Return what a code is for: a purpose of the user, bound to more than that where `bound` says so.

        Without a user it is nobody's, kept apart by `bound`. `to` is the channel and contact that it goes to.
        """
        whose = ("nobody",) if user_id is None else ("user", str(user_id))
        key = self._box.digest("code subjects", purpose.value, *whose, *bound)
        return Subject(key, user_id, to[0], "" if user_id is None else to[1])

    def issue(self, work: Work, subject: Subject, *, in_vain: bool = False) -> Issued:
        """Make a code, ending the older one; `in_vain` one that nothing typed in is equal to.

        Every case costs the same statements: within the interval the new row is nobody's.
        """
        if work.db.dialect.name == "postgresql":  # SQLite has one writer anyhow
            work.db.execute(_TURN, {"turn": int(subject.key[:15], 16)})
        asked = {"of": subject.key, "contact": subject.contact, "since": work.now - self._resend}
        young = work.db.execute(_YOUNG, asked).first()
        whose = subject if young is None else self._nobody(subject)
        plain = _draw(self._shape(work, whose.user_id))
        work.db.execute(_VOID_OLDER, {"of": whose.key})
        made = work.db.execute(
            _ISSUE,
            {
                "user_id": whose.user_id,
                "channel": whose.channel,
                "contact_value": whose.contact,
                "code_hash": self._digest(self._nobody(whose).key if in_vain else whose.key, plain),
                "expires_at": work.now + LIFETIME,
                "created_at": work.now,
                "subject": whose.key,
            },
        )
        (code_id,) = made.inserted_primary_key or (0,)
        return Issued(code_id, plain, plain if young is None else None, work.now + LIFETIME)

    def is_open(self, db: Connection, code_id: int, now: datetime) -> bool:
        """Return whether a code is somebody's and may still be used: whether it is worth sending."""
        return db.execute(_OPEN, {"asked": code_id, "now": now}).first() is not None

    def spend(self, work: Work, subject: Subject, plain: str) -> Try:
        """Spend one try of the subject's code, then compare. The commit must follow before anybody hears of it.

        A code that is shorter than one made now would be opens nothing any more: codes that somebody hoards before an
        attack are no better than those made during it.
        """
        row = work.db.execute(_NEWEST, {"of": subject.key}).first()
        code_id: int = row.id if row else 0
        digest: str = row.code_hash if row else self._digest(subject.key, "")
        user_id: int | None = row.user_id if row else None
        long_enough = len(plain) >= self._shape(work, user_id).value
        counted = work.db.execute(_SPEND, {"tried": code_id, "now": work.now}).rowcount == 1
        same = self._box.knows(digest, "codes", subject.key, plain)
        to = (row.channel, row.contact_value) if row else ("", "")
        return Try(code_id, counted and same and long_enough and user_id is not None, user_id, *to)

    def win(self, work: Work, tried: Try) -> bool:
        """Use up the code of a right try, which is no guess; of several right tries in parallel one wins."""
        won = update(Code).where(Code.id == tried.code_id, Code.used.is_(False))
        won = won.values(used=True, attempts=Code.attempts - 1)
        return bool(work.db.execute(won).rowcount == 1)

    def give_back(self, work: Work, tried: Try) -> None:
        """Return the try of a right code whose journey could not be finished."""
        work.db.execute(update(Code).where(Code.id == tried.code_id).values(attempts=Code.attempts - 1))

    def void_all(self, work: Work, user_id: int) -> None:
        """End every open code of the account."""
        work.db.execute(update(Code).where(Code.user_id == user_id, Code.used.is_(False)).values(used=True))

    def purge(self, work: Work, before: datetime) -> int:
        """Delete codes that expired before `before`, those that were guessed at later; return how many."""
        counts_no_more = or_(Code.attempts == 0, Code.created_at < work.now - OWN_WINDOW)
        return work.db.execute(delete(Code).where(Code.expires_at < before, counts_no_more)).rowcount

    def _nobody(self, subject: Subject) -> Subject:
        key = self._box.digest("code subjects", "too soon", subject.key)
        return Subject(key, None, subject.channel, "")

    def _shape(self, work: Work, user_id: int | None) -> Shape:
        """Return what a code of this account looks like if it is made now."""
        own = work.db.execute(_OWN_GUESSES, {"whose": user_id, "since": work.now - OWN_WINDOW}).scalar_one()
        hour, day = work.db.execute(_ALL_GUESSES, {"hour": work.now - HOUR, "day": work.now - DAY}).one()
        if is_attacked(hour, day):
            alarm("codes_under_attack", wrong_tries_an_hour=hour, wrong_tries_a_day=day)
        return shape_of(own, hour, day)

    def _digest(self, subject_key: str, plain: str) -> str:
        # HMAC under a pepper that is not in the database: a bare hash of six digits falls in a moment.
        return self._box.digest("codes", subject_key, plain)


def _draw(shape: Shape) -> str:
    return random.text(12, LETTERS) if shape is Shape.TWELVE_LETTERS else random.digits(shape.value)
