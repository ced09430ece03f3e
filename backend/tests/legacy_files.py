"""Builds files as the old backend left them: four shapes, 40 prepared hashes of every scheme, every oddity.

Deterministic; each row comes with its plain password where the old backend let its owner in.
"""

import base64
import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import bcrypt
from argon2 import Type, low_level

SHAPES = ("a", "b", "c", "d")
"""(a) the first users table; (b) with role; (c) with phone; (d) with password_reset_codes."""


class Person(NamedTuple):
    """A row as it was written, what is odd about it, the scheme of its hash, and the password that fits."""

    values: dict[str, Any]
    oddity: str
    scheme: str
    plain: str | None


class Prepared(NamedTuple):
    scheme: str
    stored: str
    plain: str | None


_SALT = b"fixedsaltfixed16"
_TEXT_SALT = _SALT.decode()


def _werkzeug_pbkdf2(name: str, rounds: int, plain: str) -> str:
    digest = hashlib.pbkdf2_hmac(name, plain.encode(), _SALT, rounds).hex()
    return f"pbkdf2:{name}:{rounds}${_TEXT_SALT}${digest}"


def _scrypt(n: int, r: int, p: int, plain: str) -> bytes:
    return hashlib.scrypt(plain.encode(), salt=_SALT, n=n, r=r, p=p, maxmem=2**26, dklen=64)


def _werkzeug_scrypt(n: int, r: int, p: int, plain: str) -> str:
    return f"scrypt:{n}:{r}:{p}${_TEXT_SALT}${_scrypt(n, r, p, plain).hex()}"


def _bcrypt(mark: str, rounds: int, plain: bytes) -> str:
    salt = f"$2b${rounds:02d}$".encode() + b"abcdefghijklmnopqrstuu"
    return bcrypt.hashpw(plain[:72], salt).decode().replace("$2b$", mark, 1)


def _argon2(kind: Type, memory: int, plain: str) -> str:
    return low_level.hash_secret(plain.encode(), _SALT, 1, memory, 1, 32, kind).decode()


def _django_pbkdf2(name: str, rounds: int, plain: str) -> str:
    digest = base64.b64encode(hashlib.pbkdf2_hmac(name, plain.encode(), _SALT, rounds)).decode()
    return f"pbkdf2_{name}${rounds}${_TEXT_SALT}${digest}"


def _django_scrypt(plain: str) -> str:
    return f"scrypt${_TEXT_SALT}$1024$8$1${base64.b64encode(_scrypt(1024, 8, 1, plain)).decode()}"


def _django_bcrypt_sha256(plain: str) -> str:
    return "bcrypt_sha256$" + _bcrypt("$2b$", 4, hashlib.sha256(plain.encode()).hexdigest().encode())


_MAKERS: list[tuple[str, Callable[[str], str]]] = [
    ("werkzeug pbkdf2:sha256 real", lambda plain: _werkzeug_pbkdf2("sha256", 260_000, plain)),
    ("werkzeug scrypt real", lambda plain: _werkzeug_scrypt(32768, 8, 1, plain)),
    ("bcrypt real", lambda plain: _bcrypt("$2b$", 10, plain.encode())),
    ("argon2id real", lambda plain: _argon2(Type.ID, 65536, plain)),
    ("werkzeug pbkdf2:sha256", lambda plain: _werkzeug_pbkdf2("sha256", 1000, plain)),
    ("werkzeug pbkdf2:sha1", lambda plain: _werkzeug_pbkdf2("sha1", 1000, plain)),
    ("werkzeug pbkdf2:sha512", lambda plain: _werkzeug_pbkdf2("sha512", 1000, plain)),
    ("werkzeug scrypt small", lambda plain: _werkzeug_scrypt(1024, 8, 1, plain)),
    ("bcrypt 2a", lambda plain: _bcrypt("$2a$", 4, plain.encode())),
    ("bcrypt 2b", lambda plain: _bcrypt("$2b$", 4, plain.encode())),
    ("bcrypt 2y", lambda plain: _bcrypt("$2y$", 4, plain.encode())),
    ("argon2id", lambda plain: _argon2(Type.ID, 1024, plain)),
    ("argon2i", lambda plain: _argon2(Type.I, 1024, plain)),
    ("django pbkdf2_sha256", lambda plain: _django_pbkdf2("sha256", 1000, plain)),
    ("django pbkdf2_sha1", lambda plain: _django_pbkdf2("sha1", 1000, plain)),
    ("django scrypt", _django_scrypt),
    ("django argon2", lambda plain: "argon2" + _argon2(Type.ID, 1024, plain)),
    ("django bcrypt", lambda plain: "bcrypt$" + _bcrypt("$2b$", 4, plain.encode())),
    ("django bcrypt_sha256", _django_bcrypt_sha256),
]
_PLAINS = ("Passw0rd-old", "密码Aa123456", "Füße Straße 9")
_UNUSABLE = [
    ("scrypt cut at 128", _werkzeug_scrypt(1024, 8, 1, "Cut12345")[:128]),
    ("sha512 cut at 128", _werkzeug_pbkdf2("sha512", 1000, "Cut12345")[:128]),
    ("bcrypt cut", _bcrypt("$2b$", 4, b"Cut12345")[:50]),
    ("empty", ""),
    ("unknown scheme", "{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3"),
    ("django unusable", "!Dq7Vv0pGmXq0Lr"),
    ("plain text", "Secret123"),
]


@cache
def hashes() -> list[Prepared]:
    """Return 40 stored hashes; one in a real cost each of the common schemes, the others cheap."""
    made = []
    for number in range(33):
        scheme, make = _MAKERS[number % len(_MAKERS) if number < len(_MAKERS) else 4 + number % (len(_MAKERS) - 4)]
        plain = _PLAINS[number % len(_PLAINS)]
        made.append(Prepared(scheme, make(plain), plain))
    return made + [Prepared(scheme, stored, None) for scheme, stored in _UNUSABLE]


# Each row of the table is one person in 40; {g} is the number of the round, so that twins meet in one round.
ODDITIES: list[tuple[str, dict[str, Any]]] = [
    ("nothing", {}),
    ("case, older", {"username": "Alice{g}"}),
    ("case, younger", {"username": "alice{g}"}),
    ("full width, younger", {"username": "ａｌｉｃｅ{g}"}),
    ("looks alike, older", {"username": "paypal{g}"}),
    ("looks alike, younger", {"username": "pаypal{g}"}),
    ("e-mail, older", {"email": "Bob{g}@Example.com"}),
    ("e-mail case, younger", {"email": "bob{g}@example.com"}),
    ("e-mail blanks, younger", {"email": " bob{g}@example.com "}),
    ("e-mail unreadable", {"email": "no address {g}"}),
    ("phone with 11 digits", {"phone": "138{g:08}"}),
    ("phone with +86, younger", {"phone": "+86 138 {g:08}"}),
    ("phone in full width, younger", {"phone": "{wide}"}),
    ("phone twice exactly", {"phone": "138{g:08}"}),
    ("phone empty", {"phone": ""}),
    ("phone null", {"phone": None}),
    ("phone abroad", {"phone": "+44 7911 {g:06}"}),
    ("phone unreadable", {"phone": "ext. {g}"}),
    ("role outside the set", {"role": "superadmin"}),
    ("role null", {"role": None}),
    ("role empty", {"role": ""}),
    ("role regulator", {"role": "regulator"}),
    ("role pharmacy", {"role": "pharmacy"}),
    ("created null", {"created_at": None}),
    ("created without microseconds", {"created_at": "2021-02-03 04:05:06"}),
    ("created unreadable", {"created_at": "yesterday"}),
    ("Chinese name", {"username": "张三{g}"}),
    ("mixed name", {"username": "张san{g}"}),
    ("emoji name", {"username": "🌿药店{g}"}),
    ("name of 80", {"username": "n{g:079}"}),
    ("e-mail of 120", {"email": "e{g:050}@" + "d" * 60 + ".example"}),
    ("NUL in the name", {"username": "nul\0{g}"}),
    ("decomposed name", {"username": "Cafe\u0301{g}"}),
    ("blanks in the name", {"username": "  two  blanks {g}"}),
    ("name is an own e-mail", {"username": "dora{g}@example.com", "email": "dora{g}@example.com"}),
    ("name is another's e-mail", {"username": "eve{g}@example.com"}),
    ("whose e-mail is a name", {"email": "eve{g}@example.com"}),
    ("name is another's phone", {"username": "139{g:08}"}),
    ("whose phone is a name", {"phone": "+86 139 {g:08}"}),
    ("name breaks the line", {"username": "line\n  #1: forged {g}"}),
]
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_COLUMNS: dict[str, tuple[str, ...]] = {"a": ("id", "username", "email", "password_hash", "created_at")}
_COLUMNS["b"] = (*_COLUMNS["a"], "role")
_COLUMNS["c"] = _COLUMNS["d"] = (*_COLUMNS["b"], "phone")


def people(shape: str, count: int = 10_000) -> list[Person]:
    """Return `count` people with gaps between their ids, as a file of `shape` can hold them."""
    made = []
    for number in range(count):
        turn, place = divmod(number, len(ODDITIES))
        oddity, odd = ODDITIES[place]
        prepared = hashes()[(place * 7 + turn * 11) % len(hashes())]
        values: dict[str, Any] = {
            "id": 1 + number + number // 7 * 5,
            "username": f"user{number}",
            "email": f"user{number}@example.com",
            "password_hash": prepared.stored,
            "created_at": "2020-01-02 03:04:05.678901",
            "role": "unauth",
            "phone": None,
        }
        wide = f"138{turn:08}".translate(_FULL_WIDTH)
        values |= {key: one.format(g=turn, wide=wide) if isinstance(one, str) else one for key, one in odd.items()}
        kept = {key: values[key] for key in _COLUMNS[shape]}
        made.append(Person(kept, oddity, prepared.scheme, prepared.plain))
    return made


def sample_logins(rows: Sequence[Person], count: int = 200) -> list[Person]:
    """Return up to `count` people who can sign in: each oddity and each scheme first, then pairs not yet seen."""
    able = [row for row in rows if row.plain]
    chosen: dict[int, Person] = {}
    for trait in (lambda row: row.oddity, lambda row: row.scheme, lambda row: (row.oddity, row.scheme)):
        seen = {trait(row) for row in chosen.values()}
        for row in able:
            if trait(row) not in seen and len(chosen) < count:
                seen.add(trait(row))
                chosen[row.values["id"]] = row
    return list(chosen.values())


def build(path: Path, shape: str, count: int = 10_000, *, extras: bool = False, wal: bool = False) -> list[Person]:
    """Write a file of `shape`; `extras` adds what a team may have put there of its own. Returns the people in it."""
    rows = people(shape, count)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        db.execute("BEGIN")
        for statement in _schema(shape):
            db.execute(statement)
        names = _COLUMNS[shape]
        into = f"INSERT INTO users ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        db.executemany(into, [tuple(row.values.values()) for row in rows])
        if shape == "d":
            db.executemany(
                "INSERT INTO password_reset_codes (user_id, channel, contact_value, code_hash, expires_at, used,"
                " created_at) VALUES (?, 'email', ?, 'hash', '2020-01-02 03:14:05.000000', ?, ?)",
                [
                    (row.values["id"], row.values["email"], (0, 1, None)[number % 3], row.values["created_at"])
                    for number, row in enumerate(rows[::10])
                ],
            )
        db.execute("COMMIT")
        if extras:
            db.executescript(_EXTRAS + (_MORE_EXTRAS if shape == "d" else ""))
    path.chmod(0o644)
    return rows


def _schema(shape: str) -> list[str]:
    role = "role VARCHAR(20) DEFAULT 'unauth', " if shape in "bcd" else ""
    phone = "phone VARCHAR(30), " if shape in "cd" else ""
    made = [
        "CREATE TABLE users (id INTEGER NOT NULL, username VARCHAR(80) NOT NULL, email VARCHAR(120) NOT NULL,"
        f" password_hash VARCHAR(128) NOT NULL, {role}{phone}created_at DATETIME,"
        " PRIMARY KEY (id), UNIQUE (username), UNIQUE (email))"
    ]
    if phone:
        made.append("CREATE INDEX ix_users_phone ON users (phone)")
    if shape == "d":
        made += [
            "CREATE TABLE password_reset_codes (id INTEGER NOT NULL, user_id INTEGER NOT NULL, channel VARCHAR(10)"
            " NOT NULL, contact_value VARCHAR(120) NOT NULL, code_hash VARCHAR(128) NOT NULL, expires_at DATETIME"
            " NOT NULL, used BOOLEAN, created_at DATETIME, PRIMARY KEY (id), FOREIGN KEY(user_id) REFERENCES users (id))",
            "CREATE INDEX ix_password_reset_codes_user_id ON password_reset_codes (user_id)",
        ]
    return made


_EXTRAS = """
ALTER TABLE users ADD COLUMN nickname TEXT DEFAULT 'nick';
ALTER TABLE users ADD COLUMN touched INTEGER DEFAULT 0;
CREATE TRIGGER touch AFTER UPDATE ON users BEGIN UPDATE users SET touched = touched + 1 WHERE id = new.id; END;
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id), note TEXT);
INSERT INTO orders (user_id, note) SELECT id, 'order' FROM users LIMIT 5;
CREATE VIEW people AS SELECT id, username FROM users;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
INSERT INTO alembic_version VALUES ('a1b2c3d4e5f6');
"""
_MORE_EXTRAS = """
ALTER TABLE password_reset_codes ADD COLUMN "sent via" TEXT DEFAULT 'sms';
CREATE INDEX my_own ON password_reset_codes ("sent via");
CREATE VIEW codes AS SELECT * FROM password_reset_codes;
CREATE TRIGGER code_log AFTER INSERT ON password_reset_codes BEGIN INSERT INTO orders (user_id) VALUES (1); END;
CREATE TABLE deliveries (code_id INTEGER REFERENCES password_reset_codes (id));
"""
