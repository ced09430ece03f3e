"""Accounts: opened, given a role, disabled and enabled. Unique columns decide who gets a name."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from yaoshi.accounts import queries
from yaoshi.accounts.events import (
    AccountDisabled,
    AccountEnabled,
    AccountOpened,
    ContactProven,
    IdentifierTaken,
    RoleSet,
)
from yaoshi.accounts.models import User
from yaoshi.accounts.policy import Role, Unproven, fold_email, fold_username, phone_key, skeleton
from yaoshi.accounts.queries import Profile, contact_key
from yaoshi.accounts.settings import AccountSettings
from yaoshi.core.db import Work, insert_into
from yaoshi.core.errors import Fault

_OPEN = insert_into(User).returning(User.id)
_VERIFIED = {"email": User.email_verified_at, "phone": User.phone_verified_at}


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What somebody asks for; every member has been read and judged at the door. `language` is for notices."""

    username: str
    email: str
    phone: str | None
    role: Role
    language: str | None = None


class Accounts:
    """Alone writes the table `users`, its password column aside."""

    def __init__(self, settings: AccountSettings, *, all_roles_open: bool) -> None:
        self.open_roles = frozenset(Role) if all_roles_open else settings.self_assignable_roles | {Role.UNAUTH}

    def open(self, work: Work, new: NewAccount, password_hash: str) -> Profile:
        """Open an account and return it; a role that is not open is kept as a wish.

        Raises IdentifierTaken naming every taken field; then the transaction must be left.
        """
        granted = new.role if new.role in self.open_roles else Role.UNAUTH
        wish = None if granted is new.role else new.role.value
        keys = {
            "username": fold_username(new.username),
            "email": fold_email(new.email),
            "phone": phone_key(new.phone) if new.phone else None,
        }
        alike = skeleton(new.username)
        row: dict[str, Any] = {
            "username": new.username,
            "email": new.email,
            "phone": new.phone,
            "password_hash": password_hash,
            "role": granted.value,
            "requested_role": wish,
            "created_at": work.now,
            "username_skeleton": alike,
            "unproven_contacts": Unproven.TRUSTED.value,
            "notice_language": new.language,
        } | {f"{name}_key": key for name, key in keys.items()}
        self._refuse_taken(work, keys, alike)
        try:
            with work.db.begin_nested():
                user_id = work.db.execute(_OPEN, row).scalar_one()
        except IntegrityError:
            self._refuse_taken(work, keys, alike)
            # An adopted row owns the exact spelling without its canonical form.
            raise IdentifierTaken([Fault("username", "taken")]) from None
        work.record(AccountOpened(user_id=user_id, role=granted.value, requested_role=wish))
        return Profile(user_id, new.username, new.email, new.phone, granted.value, wish, work.now)

    def set_role(self, work: Work, user_id: int, role: Role) -> None:
        """Give the account `role`; a wish that stood open is settled by it."""
        work.db.execute(update(User).where(User.id == user_id).values(role=role.value, requested_role=None))
        work.record(RoleSet(user_id=user_id, role=role.value))

    def prove(self, work: Work, user_id: int, channel: str, *, alone: bool = False) -> None:
        """Say that the owner proved the contact of `channel`; `alone`: contacts that nobody proved lose their power.

        If this one was never proven before, the other loses its proof as well: whoever opened the account with an
        address of somebody else may have proved their own. Adopted accounts are exempt. Source: threats CF-08.
        """
        column, other = _VERIFIED[channel], _VERIFIED["phone" if channel == "email" else "email"]
        if alone:
            trusted = update(User).where(User.id == user_id, User.unproven_contacts == Unproven.TRUSTED.value)
            work.db.execute(trusted.where(column.is_(None)).values({other: None}))
            work.db.execute(trusted.values(unproven_contacts=Unproven.POWERLESS.value))
        work.db.execute(update(User).where(User.id == user_id, column.is_(None)).values({column: work.now}))
        work.record(ContactProven(user_id=user_id, channel=channel, moved=False))

    def withdraw(self, work: Work, user_id: int, channel: str) -> bool:
        """Take the proof of `channel` and all power of unproven contacts; return whether there was a proof to take."""
        proven = update(User).where(User.id == user_id, _VERIFIED[channel].is_not(None))
        values = {_VERIFIED[channel]: None, User.unproven_contacts: Unproven.POWERLESS.value}
        return bool(work.db.execute(proven.values(values)).rowcount == 1)

    def move_contact(self, work: Work, user_id: int, channel: str, value: str) -> None:
        """Give the account a new e-mail address or phone number that its owner has proved.

        Raises IdentifierTaken; then the transaction must be left.
        """
        key = contact_key(channel, value)
        change: dict[str, Any] = {channel: value, f"{channel}_key": key, f"{channel}_verified_at": work.now}
        try:
            with work.db.begin_nested():
                work.db.execute(update(User).where(User.id == user_id).values(change))
        except IntegrityError:
            raise IdentifierTaken([Fault(channel, "taken")]) from None
        work.record(ContactProven(user_id=user_id, channel=channel, moved=True))

    def disable(self, work: Work, user_id: int) -> None:
        """Shut the account; who calls ends its sessions and codes in the same transaction."""
        work.db.execute(update(User).where(User.id == user_id, User.disabled_at.is_(None)).values(disabled_at=work.now))
        work.record(AccountDisabled(user_id=user_id))

    def enable(self, work: Work, user_id: int) -> None:
        """Open a shut account again."""
        work.db.execute(update(User).where(User.id == user_id).values(disabled_at=None))
        work.record(AccountEnabled(user_id=user_id))

    def _refuse_taken(self, work: Work, keys: dict[str, str | None], alike: str) -> None:
        names = queries.taken(work.db, keys, alike)
        if names:
            raise IdentifierTaken([Fault(name, "taken") for name in names])
