"""Sessions: opened, asked, ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field
from sqlalchemy import delete, or_, update

from yaoshi.accounts.queries import Principal
from yaoshi.core import random
from yaoshi.core.config import Group
from yaoshi.core.db import Database, Work, insert_into
from yaoshi.core.errors import Kind, Problem
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Clock
from yaoshi.keys.service import Keys, TokenRefused
from yaoshi.sessions import queries
from yaoshi.sessions.models import LoginSession

_OPEN = insert_into(LoginSession)


class SessionSettings(Group):
    """Settings of sessions."""

    access_token_minutes: int = Field(12 * 60, ge=1, le=12 * 60)
    """How long a sign-in lasts, in minutes. Every request asks the session anyway, so an end holds at once."""


class Unauthenticated(Problem):
    """No token, one that is not ours, or one whose session or account is over. One answer for every cause."""

    kind, code = Kind.UNAUTHENTICATED, "unauthenticated"
    phrase = Phrase("Please sign in.", "请先登录。")


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client takes away; `expires_in` is in whole seconds."""

    session_id: str
    access_token: str
    expires_in: int


class Sessions:
    """Alone writes the table `sessions`."""

    def __init__(self, db: Database, clock: Clock, keys: Keys, settings: SessionSettings) -> None:
        self._db, self._clock, self._keys = db, clock, keys
        self._lifetime = timedelta(minutes=settings.access_token_minutes)

    def open(self, work: Work, user_id: int) -> Tokens:
        """Open a session for `user_id` on the caller's device."""
        session_id = str(random.new_id(work.now))
        work.db.execute(
            _OPEN,
            {
                "id": session_id,
                "user_id": user_id,
                "created_at": work.now,
                "last_seen_at": work.now,
                "expires_at": work.now + self._lifetime,
                "ended_at": None,
                "device": work.caller.agent,
                "address": work.caller.address,
            },
        )
        token = self._keys.sign(user_id, session_id, work.now, self._lifetime)
        return Tokens(session_id, token, int(self._lifetime.total_seconds()))

    def authenticate(self, authorization: str | None) -> Principal:
        """Return who presents this Authorization header. Raises Unauthenticated.

        Source: RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1).
        """
        if not authorization or authorization[:7].lower() != "bearer ":
            raise Unauthenticated()
        try:
            user_id, session_id = self._keys.verify(authorization[7:])
        except TokenRefused:
            raise Unauthenticated() from None
        profile = queries.living(self._db, session_id, user_id, self._clock.now())
        if profile is None:
            raise Unauthenticated()
        return Principal(session_id, profile)

    def end_all(self, work: Work, user_id: int) -> None:
        """End every session of the account; it holds for every request that begins after the commit."""
        work.db.execute(
            update(LoginSession)
            .where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
            .values(ended_at=work.now)
        )

    def purge(self, work: Work, before: datetime) -> int:
        """Delete sessions that ended or expired before `before`; return how many."""
        over = or_(LoginSession.ended_at < before, LoginSession.expires_at < before)
        return work.db.execute(delete(LoginSession).where(over)).rowcount
