"""The question that every signed-in request asks: does this session live, and whose is it?"""

from datetime import datetime

from sqlalchemy import Integer, String, bindparam, select

from yaoshi.accounts.models import User
from yaoshi.accounts.queries import PROFILE, Profile, read_profile
from yaoshi.core.db import Database, Instant, Prepared
from yaoshi.sessions.models import LoginSession

_INSTANT = Instant()
_LIVING = Prepared(
    select(*PROFILE)
    .join(LoginSession, LoginSession.user_id == User.id)
    .where(
        LoginSession.id == bindparam("session_id", type_=String),
        LoginSession.user_id == bindparam("user_id", type_=Integer),
        LoginSession.ended_at.is_(None),
        LoginSession.expires_at > bindparam("now"),
        User.disabled_at.is_(None),
    )
)


def living(db: Database, session_id: str, user_id: int, now: datetime) -> Profile | None:
    """Return the owner of a living session of an active account; one statement, by primary keys."""
    stored = _INSTANT.process_bind_param(now, db.reader.dialect)
    rows = db.ask(_LIVING, {"session_id": session_id, "user_id": user_id, "now": stored})
    return read_profile(rows[0]) if rows else None
