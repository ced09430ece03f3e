"""Questions about sessions; the first is the one that every signed-in request asks."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Integer, String, bindparam, select

from yaoshi.accounts.models import User
from yaoshi.accounts.queries import PROFILE, Profile, read_profile
from yaoshi.core.db import Database, Instant, Prepared, Work, read_instant, stored_instant
from yaoshi.sessions.models import LoginSession
from yaoshi.sessions.policy import Lasts, Standing

_LIVING = Prepared(
    select(*PROFILE, LoginSession.created_at, LoginSession.last_seen_at)
    .join(LoginSession, LoginSession.user_id == User.id)
    .where(
        LoginSession.id == bindparam("session_id", type_=String),
        LoginSession.user_id == bindparam("user_id", type_=Integer),
        LoginSession.ended_at.is_(None),
        LoginSession.expires_at > bindparam("now"),
        User.disabled_at.is_(None),
    )
)
_STANDING = Prepared(
    select(
        LoginSession.user_id,
        User.role,
        User.disabled_at,
        LoginSession.counter,
        LoginSession.rotated_at,
        LoginSession.created_at,
        LoginSession.last_seen_at,
        LoginSession.expires_at,
        LoginSession.ended_at,
    )
    .join(User, LoginSession.user_id == User.id)
    .where(LoginSession.id == bindparam("session_id", type_=String))
)
MOST_SESSIONS, MOST_AGENTS = 10, 50
# Sessions that can still be used: neither ended, nor over by themselves.
_OPEN = (
    LoginSession.user_id == bindparam("user_id"),
    LoginSession.ended_at.is_(None),
    LoginSession.expires_at > bindparam("now", type_=Instant),
    LoginSession.created_at > bindparam("born", type_=Instant),
    LoginSession.last_seen_at > bindparam("seen", type_=Instant),
)
_SURPLUS = Prepared(
    select(LoginSession.id)
    .where(*_OPEN)
    .order_by(LoginSession.created_at.desc(), LoginSession.id.desc())
    .offset(MOST_SESSIONS - 1)
)
_AGENTS = Prepared(
    select(LoginSession.device)
    .where(LoginSession.user_id == bindparam("user_id"))
    .order_by(LoginSession.created_at.desc())
    .limit(bindparam("most", type_=Integer))
)
_DEVICES = (
    select(
        LoginSession.id,
        LoginSession.device,
        LoginSession.address,
        LoginSession.created_at,
        LoginSession.last_seen_at,
        LoginSession.expires_at,
    )
    .where(*_OPEN)
    .order_by(LoginSession.created_at.desc(), LoginSession.id.desc())
)


class Device(NamedTuple):
    """One open session, as its owner sees it."""

    id: str
    device: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


def living(db: Database, session_id: str, user_id: int, now: datetime, lasts: Callable[[str], Lasts]) -> Profile | None:
    """Return the owner of a living session of an active account; one statement, by primary keys.

    `lasts` tells how long sessions of a role last.
    """
    stored = stored_instant(now, db.reader.dialect)
    rows = db.ask(_LIVING, {"session_id": session_id, "user_id": user_id, "now": stored})
    if not rows:
        return None
    profile, created, seen = read_profile(rows[0]), read_instant(rows[0][-2]), read_instant(rows[0][-1])
    return profile if created and seen and lasts(profile.role).ends_at(created, seen) > now else None


def standing(work: Work, session_id: str) -> Standing | None:
    """Return how a session stands; one statement, by primary keys. None when there is none."""
    row = work.put(_STANDING, {"session_id": session_id}).fetchone()
    if row is None:
        return None
    user_id, role, disabled_at, counter, *instants = row
    rotated, created, seen, expires, ended = map(read_instant, instants)
    if created is None or seen is None or expires is None:
        return None
    return Standing(user_id, role, disabled_at is None, counter, rotated, created, seen, expires, ended)


def surplus(work: Work, user_id: int, lasts: Lasts) -> list[str]:
    """Return the open sessions of an account that leave no room for one more, the newest first."""
    values = {name: stored_instant(at, work.db.dialect) for name, at in _bounds(work.now, lasts).items()}
    return [row[0] for row in work.put(_SURPLUS, values | {"user_id": user_id}).fetchall()]


def recent_agents(work: Work, user_id: int) -> list[str]:
    """Return what the programs of an account's last sign-ins called themselves, sessions that are over included."""
    return [row[0] for row in work.put(_AGENTS, {"user_id": user_id, "most": MOST_AGENTS}).fetchall()]


def open_sessions(db: Connection, user_id: int, now: datetime, lasts: Lasts) -> list[Device]:
    """Return the open sessions of an account, the newest first."""
    return [Device(*row) for row in db.execute(_DEVICES, {"user_id": user_id, **_bounds(now, lasts)})]


def _bounds(now: datetime, lasts: Lasts) -> dict[str, datetime]:
    """Return the values of `_OPEN`: what began or was seen no later than these is over."""
    return {"now": now, "born": now - lasts.absolute, "seen": now - lasts.idle}
