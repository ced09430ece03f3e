"""Questions about accounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, or_, select

from yaoshi.accounts.models import User
from yaoshi.accounts.policy import Handle, HandleKind, Unproven, fold_email, phone_key
from yaoshi.core.db import Database, Prepared, Work, read_instant

MOST_TWINS = 20


class Profile(NamedTuple):
    """What a signed-in person may know of an account."""

    id: int
    username: str
    email: str
    phone: str | None
    role: str
    requested_role: str | None
    created_at: datetime | None
    email_verified_at: datetime | None = None
    phone_verified_at: datetime | None = None


class Principal(NamedTuple):
    """Who is signed in, and by which session."""

    session_id: str
    profile: Profile


class Account(NamedTuple):
    """An account as the journeys see it."""

    profile: Profile
    password_hash: str
    disabled_at: datetime | None
    keys: tuple[str | None, str | None, str | None]
    unproven: str
    language: str | None


PROFILE = (
    User.id,
    User.username,
    User.email,
    User.phone,
    User.role,
    User.requested_role,
    User.created_at,
    User.email_verified_at,
    User.phone_verified_at,
)
_ACCOUNT = (
    *PROFILE,
    User.password_hash,
    User.disabled_at,
    User.username_key,
    User.email_key,
    User.phone_key,
    User.unproven_contacts,
    User.notice_language,
)
_BY_HANDLE = Prepared(
    select(*_ACCOUNT)
    .where(
        or_(
            User.username == bindparam("exact"),
            User.email == bindparam("exact"),
            User.phone == bindparam("exact"),
            User.username_key == bindparam("username_key"),
            User.email_key == bindparam("email_key"),
            User.phone_key == bindparam("phone_key"),
        )
    )
    .order_by(User.id)
    .limit(MOST_TWINS)
)
_BY_ID = select(*_ACCOUNT).where(User.id == bindparam("id"))
_HELD = Prepared(_BY_ID.with_for_update(key_share=True))


def by_handle(db: Database, handle: Handle) -> Account | None:
    """Return the account that a typed name means.

    The name's own kind comes first, exactly as stored and then folded; after it the other columns, exactly as
    stored, so that every adopted spelling stays usable. Among equals the older id wins.
    """
    keys: dict[str, str | None] = {"username_key": None, "email_key": None, "phone_key": None}
    keys[_COLUMN[handle.kind] + "_key"] = handle.key
    found = [_account(row) for row in db.ask(_BY_HANDLE, {"exact": handle.exact, **keys})]
    return min(found, key=lambda account: _rank(account, handle), default=None)


def by_id(db: Connection, user_id: int) -> Account | None:
    """Return the account with this id."""
    row = db.execute(_BY_ID, {"id": user_id}).first()
    return _account(row) if row else None


def held(work: Work, user_id: int) -> Account | None:
    """Return the account with this id as it stays until `work` ends: no parallel change comes astride."""
    row = work.put(_HELD, {"id": user_id}).fetchone()
    return _account(row) if row else None


def holder(account: Account | None, channel: str, contact: str) -> int | None:
    """Return the id of `account` if it is active and `contact` is its address of `channel`, with power; else None."""
    if account is None or not has_power(account, channel):
        return None
    stored = account.profile.email if channel == "email" else account.profile.phone
    stored_key = account.keys[1 if channel == "email" else 2]
    same = contact == stored or (stored_key is not None and contact_key(channel, contact) == stored_key)
    return account.profile.id if same else None


def has_power(account: Account, channel: str) -> bool:
    """Return whether codes sent by `channel` open this account."""
    if account.disabled_at is not None:
        return False
    return is_proven(account.profile, channel) or account.unproven != Unproven.POWERLESS.value


def is_proven(profile: Profile, channel: str) -> bool:
    """Return whether the owner has proved the contact of `channel`."""
    return (profile.email_verified_at if channel == "email" else profile.phone_verified_at) is not None


def is_vouched_for(account: Account, channel: str) -> bool:
    """Return whether the contact of `channel` is surely the owner's: proven, or adopted from a time without proofs."""
    return is_proven(account.profile, channel) or account.unproven == Unproven.ADOPTED.value


def is_any_proven(profile: Profile) -> bool:
    """Return whether the owner has proved a contact."""
    return is_proven(profile, "email") or is_proven(profile, "phone")


def reach(account: Account, channels: Sequence[str]) -> list[tuple[str, str]]:
    """Return where notices reach the owner by `channels`, as (channel, address).

    That is every proven contact, else the e-mail address.
    """
    proven = [channel for channel in channels if is_proven(account.profile, channel)]
    usable = proven or [channel for channel in channels if channel == "email" and has_power(account, channel)]
    return [(channel, to) for channel in usable if (to := address(account, channel))]


def address(account: Account | None, channel: str) -> str:
    """Return where messages of `channel` reach an account: its stored e-mail address, or its number as E.164.

    Empty when there is none. What somebody typed is never an address. Source: threats C14.
    """
    if account is None:
        return ""
    if channel == "email":
        return account.profile.email
    return account.keys[2] or phone_key(account.profile.phone or "") or ""


def contact_key(channel: str, contact: str) -> str:
    """Return the canonical form of a typed contact; text that is none stands for itself."""
    return (fold_email(contact) if channel == "email" else phone_key(contact)) or contact.strip()


def counter_key(account: Account | None, handle: Handle) -> tuple[str, str]:
    """Return the key of an account's counters, one for all its names; a name that is nobody's has its own."""
    return ("user", str(account.profile.id)) if account else (handle.kind.value, handle.key)


def taken(db: Connection, keys: dict[str, str | None], skeleton: str) -> list[str]:
    """Return which of username, email, phone already belong to somebody, look-alike usernames included."""
    columns = (User.username_skeleton, User.username_key, User.email_key, User.phone_key)
    wanted = (skeleton, keys["username"], keys["email"], keys["phone"])
    rows = db.execute(select(*columns).where(or_(*(c == w for c, w in zip(columns, wanted, strict=True))))).all()
    hits = [any(row[place] is not None and row[place] == wanted[place] for row in rows) for place in range(4)]
    return [name for name, hit in (("username", hits[0] or hits[1]), ("email", hits[2]), ("phone", hits[3])) if hit]


def is_taken(db: Connection, channel: str, contact: str, user_id: int) -> bool:
    """Return whether an e-mail address or phone number belongs to another account than this."""
    stored, folded = (User.email, User.email_key) if channel == "email" else (User.phone, User.phone_key)
    same = or_(stored == contact, folded == contact_key(channel, contact))
    return db.execute(select(User.id).where(same, User.id != user_id).limit(1)).first() is not None


_COLUMN = {HandleKind.NAME: "username", HandleKind.EMAIL: "email", HandleKind.PHONE: "phone"}
_ORDER = {
    HandleKind.NAME: ("username", "email", "phone"),
    HandleKind.EMAIL: ("email", "username", "phone"),
    HandleKind.PHONE: ("phone", "username", "email"),
}


def _rank(account: Account, handle: Handle) -> tuple[int, int]:
    own, *others = _ORDER[handle.kind]
    key = account.keys[("username", "email", "phone").index(own)]
    if getattr(account.profile, own) == handle.exact:
        place = 0
    elif key == handle.key:
        place = 1
    else:
        place = 2 + [getattr(account.profile, other) == handle.exact for other in others].index(True)
    return place, account.profile.id


def read_profile(row: Sequence[Any]) -> Profile:
    """Return the profile in a row that begins with the columns PROFILE, from the driver or from SQLAlchemy."""
    return Profile._make((*row[:6], *map(read_instant, row[6:9])))


def _account(row: Sequence[Any]) -> Account:
    return Account(read_profile(row), row[9] or "", read_instant(row[10]), (row[11], row[12], row[13]), *row[14:16])
