"""Adopting a legacy database: which row owns which canonical name, and what its owner must know.

Rules, stated once:
- Every row stays, with its id, spelling, role, hash and date. Only columns of ours are filled.
- Rows are read by ascending id. The first to claim a canonical form (folded username, look-alike skeleton, folded
  e-mail, E.164 number) owns it; a later claimant gets none there and goes on signing in by its exact old spelling.
- An e-mail address is its owner's even if an older account uses it as a username; that account signs in by its own
  e-mail address or phone number.
- What can't be read as an e-mail address or phone number keeps its spelling and gets no canonical form.
- A password hash that can't be tried, and a role that is not one of the five, stay and are reported.
"""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import BindParameter, ColumnClause, Connection, bindparam, column, inspect, select, table, update

from yaoshi.accounts.policy import Role, fold_email, fold_username, phone_key, skeleton
from yaoshi.core.types import SystemClock
from yaoshi.passwords.hashers import parse

_ROLES = {role.value for role in Role}
_KEYS = ("username_key", "username_skeleton", "email_key", "phone_key")
_CLASHES = {
    "username_key": "same username but for case or width",
    "username_skeleton": "username that looks the same",
    "email_key": "same e-mail address but for case or blanks",
    "phone_key": "same phone number in another spelling",
}

_Owners = dict[str, dict[str, int]]


class LegacyRow(NamedTuple):
    """What adoption reads of a row of `users`."""

    id: int
    username: str
    email: str
    phone: str | None
    password_hash: str | None
    role: str | None


@dataclass(slots=True)
class Plan:
    """The canonical columns of every row, and one line for each thing its owner must know."""

    keys: list[dict[str, object]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    regulators: list[int] = field(default_factory=list)

    def told(self, what: str) -> str:
        """Return the report, for people."""
        lines = [f"{len(self.keys)} accounts {what}; {len(self.findings)} things to know:", *self.findings]
        if self.regulators:
            listed = ", ".join(f"#{user_id}" for user_id in self.regulators)
            lines.append(f"{len(self.regulators)} regulators, self-chosen in the old system; check each: {listed}")
        return "\n".join(lines)


def plan_of(connection: Connection) -> Plan:
    """Return the plan for the legacy table `users` of `connection`; nothing is changed."""
    have = {found["name"] for found in inspect(connection).get_columns("users")}
    wanted: list[ColumnClause[object]] = [column(name) for name in LegacyRow._fields if name in have]
    rows = connection.execute(select(*wanted).select_from(table("users")).order_by(column("id")))
    empty = dict.fromkeys(LegacyRow._fields)
    return make_plan(LegacyRow(**{**empty, **row._mapping}) for row in rows)


def make_plan(rows: Iterable[LegacyRow]) -> Plan:
    """Return who owns which canonical form among `rows`, which come by ascending id. Pure."""
    plan = Plan()
    owners: _Owners = {name: {} for name in _KEYS}
    kept = list(rows)
    for row in kept:
        claims = _claims(row)
        plan.findings += _clashes(row, claims, owners)
        plan.findings += _oddities(row)
        plan.keys.append({"row_id": row.id, **claims})
        if row.role == Role.REGULATOR.value:
            plan.regulators.append(row.id)
    for row in kept:
        plan.findings += _borrowed_names(row, owners)
    return plan


def fill(connection: Connection, plan: Plan) -> None:
    """Write the canonical columns of `plan`."""
    users = table("users", column("id"), *(column(name) for name in _KEYS))
    if plan.keys:
        values: dict[str, BindParameter[object]] = {name: bindparam(name) for name in _KEYS}
        connection.execute(update(users).where(users.c.id == bindparam("row_id")).values(values), plan.keys)


def keep_copy(path: Path) -> Path:
    """Keep a consistent copy of the legacy file beside it, its owner's alone; return its path.

    The copy of an interrupted run is taken as it is when it holds the same, never overwritten.
    """
    day = SystemClock().now().date().isoformat()
    part = path.with_name(f"{path.name}.copying-{os.getpid()}")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(part)) as new,
    ):
        old.backup(new)
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    for number in range(1, 1000):
        target = path.with_name(f"{path.name}.before-yaoshi-{day}" + (f"-{number}" if number > 1 else ""))
        if not target.exists():
            part.rename(target)
            return target
        if target.read_bytes() == part.read_bytes():
            part.unlink()
            return target
    raise FileExistsError(path)


def keep_report(copy: Path, text: str) -> Path:
    """Write the report beside the copy, for its owner alone; return its path."""
    path = copy.with_name(copy.name + ".report.txt")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return path


def _claims(row: LegacyRow) -> dict[str, str | None]:
    return {
        "username_key": fold_username(row.username) or None,
        "username_skeleton": skeleton(row.username) or None,
        "email_key": fold_email(row.email),
        "phone_key": phone_key(row.phone) if row.phone else None,
    }


def _clashes(row: LegacyRow, claims: dict[str, str | None], owners: _Owners) -> list[str]:
    """Let `row` own what nobody owned before; take from `claims` what somebody did, and tell of it."""
    told = []
    for name in _KEYS:
        claim = claims[name]
        owner = owners[name].setdefault(claim, row.id) if claim else row.id
        if owner != row.id:
            claims[name] = None
            # One clash of a username is enough to tell: whoever folds alike looks alike.
            if name != "username_skeleton" or claims["username_key"]:
                told.append(f"#{row.id}: {_CLASHES[name]} as #{owner}, who owns it; signs in exactly as spelled.")
    return told


def _borrowed_names(row: LegacyRow, owners: _Owners) -> list[str]:
    borrowed = {
        "e-mail address": ("email_key", fold_email(row.username)),
        "phone number": ("phone_key", phone_key(row.username)),
    }
    return [
        f"#{row.id}: its username is the {what} of #{owners[name][claim]}; signs in by its own contacts."
        for what, (name, claim) in borrowed.items()
        if claim and owners[name].get(claim, row.id) != row.id
    ]


def _oddities(row: LegacyRow) -> list[str]:
    odd = {
        "the e-mail address can't be read; it stays as spelled.": not fold_email(row.email),
        "the phone number can't be read; it stays as spelled.": bool(
            row.phone and row.phone.strip() and not phone_key(row.phone)
        ),
        "the password hash can't be used; needs a reset.": parse(row.password_hash or "") is None,
        f"the role {row.role!r} is not one of ours; it stays.": row.role is not None and row.role not in _ROLES,
    }
    return [f"#{row.id}: {text}" for text, holds in odd.items() if holds]
