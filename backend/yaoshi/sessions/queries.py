"""The question that every signed-in request asks: does this session live, and whose is it?"""

from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from yaoshi.accounts.models import User
from yaoshi.accounts.queries import PROFILE, Profile
from yaoshi.sessions.models import LoginSession

_LIVING = (
    select(*PROFILE)
    .join(LoginSession, LoginSession.user_id == User.id)
    .where(
        LoginSession.id == bindparam("session_id"),
        LoginSession.user_id == bindparam("user_id"),
        LoginSession.ended_at.is_(None),
        LoginSession.expires_at > bindparam("now"),
        User.disabled_at.is_(None),
    )
)


def living(db: Session, session_id: str, user_id: int, now: datetime) -> Profile | None:
    """Return the owner of a living session of an active account; one statement, by primary keys."""
    row = db.execute(_LIVING, {"session_id": session_id, "user_id": user_id, "now": now}).first()
    return Profile(*row) if row else None
