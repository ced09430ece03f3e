"""Adopting a legacy database: which row owns which canonical name, and what its owner must know. Pure.

Rules, stated once:
- Every row stays, with its id, spelling, role, hash and date. Only columns of ours are filled; a null role, which the
  old system read as `unauth`, is written out.
- Rows are read by ascending id. The first to claim a canonical form (folded username, look-alike skeleton, folded
  e-mail, E.164 number) owns it; a later claimant gets none there and goes on signing in by its exact old spelling.
- A name that is typed means, as in `accounts.queries.by_handle`: of its own kind exactly, then folded, then any other
  column exactly; the older id among equals. An e-mail address is thus its owner's even if another uses it as username.
- What can't be read as a username, e-mail address or phone number keeps its spelling and gets no canonical form.
- A password hash that can't be tried, and a role that is not one of the five, stay and are reported.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from yaoshi.accounts.policy import HandleKind, Role, fold_email, fold_username, phone_key, read_handle, skeleton
from yaoshi.passwords.hashers import parse

KEYS = ("username_key", "username_skeleton", "email_key", "phone_key")
_ROLES = {role.value for role in Role}
_WORDS = {"username": "username", "email": "e-mail address", "phone": "phone number"}
_ORDER = {
    HandleKind.NAME: ("username", "email", "phone"),
    HandleKind.EMAIL: ("email", "username", "phone"),
    HandleKind.PHONE: ("phone", "username", "email"),
}
_CLASHES = {
    "username": "same username but for case, width or blanks",
    "email": "same e-mail address but for case or blanks",
    "phone": "same phone number, perhaps in another spelling,",
}


class LegacyRow(NamedTuple):
    """What adoption reads of a row of `users`."""

    id: int
    username: object
    email: object
    phone: object
    password_hash: object
    role: object


class Finding(NamedTuple):
    """One thing to know about one account."""

    kind: str
    user_id: int
    text: str


@dataclass(slots=True)
class Plan:
    """The canonical columns of every row, and what its owner must know."""

    keys: list[dict[str, object]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def told(self, what: str, most: int | None = None) -> str:
        """Return the report, for people: by kind with its count, at most `most` lines of each."""
        lines = [f"{len(self.keys)} accounts {what}; {len(self.findings)} things to know."]
        for kind in sorted({finding.kind for finding in self.findings}):
            same = [finding for finding in self.findings if finding.kind == kind]
            lines += [f"{kind}: {len(same)}", *(f"  #{one.user_id}: {one.text}" for one in same[:most])]
            if most is not None and len(same) > most:
                lines.append(f"  ... and {len(same) - most} more, see the whole report")
        return "\n".join(lines)


class _Names:
    """Who is meant by what is typed, once every row has claimed its names."""

    def __init__(self) -> None:
        self.exact: dict[str, dict[object, int]] = {column: {} for column in _WORDS}
        self.owners: dict[str, dict[str, int]] = {key: {} for key in KEYS}

    def means(self, typed: str) -> int | None:
        """Return the id of the account that `typed` means."""
        handle = read_handle(typed)
        own, *others = _ORDER[handle.kind]
        if handle.exact in self.exact[own]:
            return self.exact[own][handle.exact]
        places = [self.owners[f"{own}_key"].get(handle.key)]
        places += [self.exact[other].get(handle.exact) for other in others]
        return next((found for found in places if found is not None), None)


def make_plan(rows: Iterable[LegacyRow]) -> Plan:
    """Return who owns which canonical form among `rows`, and what to know of each."""
    plan, names = Plan(), _Names()
    kept = sorted(rows, key=lambda row: row.id)
    clashes = []
    for row in kept:
        claims = _claims(row)
        lost = {key: _claim(names.owners[key], claim, row.id) for key, claim in claims.items()}
        plan.keys.append({"row_id": row.id, **{key: None if lost[key] else claims[key] for key in KEYS}})
        clashes.append(lost)
        for column in _WORDS:
            names.exact[column].setdefault(getattr(row, column), row.id)
    for row, lost in zip(kept, clashes, strict=True):
        plan.findings += [Finding(kind, row.id, text) for kind, text in (*_told(row, lost, names), *_oddities(row))]
    return plan


def _claims(row: LegacyRow) -> dict[str, str | None]:
    username, email, phone = (_text(value) for value in (row.username, row.email, row.phone))
    return {
        "username_key": fold_username(username) or None,
        "username_skeleton": skeleton(username) or None,
        "email_key": fold_email(email),
        "phone_key": phone_key(phone),
    }


def _claim(owners: dict[str, int], form: str | None, row_id: int) -> int | None:
    """Let the row own `form` if nobody did before; return who did."""
    owner = owners.setdefault(form, row_id) if form else row_id
    return None if owner == row_id else owner


def _told(row: LegacyRow, lost: dict[str, int | None], names: _Names) -> list[tuple[str, str]]:
    """Return what to know of the row's names: whose they are too, and how its owner signs in."""
    typed = {column: _text(getattr(row, column)) for column in _WORDS}
    meant = {column: names.means(text) for column, text in typed.items() if text.strip()}
    ways = [_WORDS[column] for column, found in meant.items() if found == row.id]
    instead = f"this account signs in by its {' or '.join(ways)}" if ways else "NO name of this account reaches it"
    told = []
    for column, found in meant.items():
        owner = lost[f"{column}_key"]
        if owner:
            way = "it works exactly as stored" if found == row.id else f"typed, it means #{found}; {instead}"
            text = f"{_CLASHES[column]} as #{owner}, who owns it; {way}"
            told.append((f"{_WORDS[column]} of an older account", text))
        elif found != row.id:
            told.append(("a name of two kinds", f"typed, its {_WORDS[column]} means #{found}; {instead}"))
    if lost["username_skeleton"] and not lost["username_key"]:
        twin = f"its username looks like that of #{lost['username_skeleton']}; both work, watch for impersonation"
        told.append(("look-alike username", twin))
    return told


def _oddities(row: LegacyRow) -> list[tuple[str, str]]:
    odd = {
        "unreadable username": not fold_username(_text(row.username)),
        "unreadable e-mail address": _given(row.email) and not fold_email(_text(row.email)),
        "unreadable phone number": _given(row.phone) and not phone_key(_text(row.phone)),
    }
    told = [(kind, "it stays as spelled, and works only so") for kind in odd if odd[kind]]
    if parse(_text(row.password_hash)) is None:
        told.append(("unusable password hash", f"nobody can sign in: yaoshi accounts reset '#{row.id}'"))
    if row.role == Role.REGULATOR.value:
        told.append(
            ("regulator", f"chosen freely in the old system; if wrong: yaoshi accounts set-role '#{row.id}' unauth")
        )
    elif row.role is not None and row.role not in _ROLES:
        told.append(("role outside the set", f"{row.role!r} stays and gives no power"))
    return told


def _given(value: object) -> bool:
    return not isinstance(value, str | None) or bool(_text(value).strip())


def _text(value: object) -> str:
    """Return stored text; nothing for null and for bytes that are no text."""
    return value if isinstance(value, str) else ""
