"""Legacy files: every shape is adopted in place, and whatever goes wrong leaves the file as it was."""

import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import column, create_engine
from sqlalchemy.pool import NullPool

import legacy_files
from conftest import World
from legacy_files import SHAPES, Person
from servers import Postgres, Server
from yaoshi.accounts.policy import read_handle
from yaoshi.accounts.queries import by_handle
from yaoshi.core.db import Database
from yaoshi.core.engines import open_engines
from yaoshi.core.errors import SettingsRefused
from yaoshi.core.types import SystemClock
from yaoshi.migrations import connection, copies, legacy
from yaoshi.migrations.adoption import LegacyRow, make_plan
from yaoshi.migrations.legacy_commands import install
from yaoshi.migrations.upgrade import FOLDER, current, head, history, plan, upgrade
from yaoshi.ops.installation import HEAD

SMALL = 3 * len(legacy_files.ODDITIES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "old data 100%.db"


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def kept_copies(path: Path) -> list[Path]:
    found = path.parent.glob(f"{path.name}.before-yaoshi-*")
    return sorted(one for one in found if not one.name.endswith((".report.txt", "-wal", "-shm")))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def assert_same_people(path: Path, before: list[Person]) -> None:
    names = list(before[0].values)
    after = rows(path, f"SELECT {', '.join(names)} FROM users ORDER BY id")
    expected = [{**row.values} for row in before]
    for row in expected:
        if "role" in row:
            row["role"] = "unauth" if row["role"] is None else row["role"]
    assert after == [tuple(row.values()) for row in expected]


def assert_findings_are_true(path: Path, report: str) -> None:
    """Every spelling that is stored reaches its own account, unless the report says whom it reaches instead."""
    database = Database(*open_engines(url(path)), SystemClock(), lambda work: None)
    said: defaultdict[str, list[str]] = defaultdict(list)
    for line in report.splitlines():
        said[line.partition(":")[0]].append(line)
    for user_id, *names in rows(path, "SELECT id, username, email, phone FROM users WHERE id % 70 < 7 OR id < 400"):
        for typed, word in zip(names, ("username", "e-mail", "phone"), strict=True):
            if typed and typed.strip():
                found = by_handle(database, read_handle(typed))
                assert found
                elsewhere = [
                    one for one in said[f"  #{user_id}"] if f"means #{found.profile.id};" in one and word in one
                ]
                assert (found.profile.id != user_id) == bool(elsewhere), (typed, elsewhere)
    database.close()


@pytest.mark.parametrize("wal", [False, True], ids=["rollback", "wal"])
@pytest.mark.parametrize("shape", SHAPES)
def test_rel22_every_shape_keeps_every_row(path: Path, shape: str, wal: bool) -> None:
    before = legacy_files.build(path, shape, SMALL, extras=True, wal=wal)
    old = dump(path)
    foretold = plan(url(path))
    told = upgrade(url(path))
    assert_same_people(path, before)
    [copy] = kept_copies(path)
    assert dump(copy) == old
    report = copy.with_name(copy.name + ".report.txt")
    assert {mode(one) for one in (path, copy, report)} == {0o600}
    assert f"{SMALL} accounts were adopted" in told
    assert str(copy) in told
    assert report.read_text().startswith(foretold.replace("would be adopted", "were adopted"))
    assert_findings_are_true(path, report.read_text())
    assert rows(path, "SELECT DISTINCT nickname, touched FROM users") == [("nick", 0)]
    assert rows(path, "SELECT count(*) FROM people JOIN orders ON orders.user_id = people.id") == [(5,)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "PRAGMA foreign_key_check") == []


def test_rel22_a_table_of_codes_keeps_what_a_team_added(path: Path) -> None:
    legacy_files.build(path, "d", SMALL, extras=True)
    query = 'SELECT id, user_id, channel, contact_value, code_hash, expires_at, "sent via" FROM password_reset_codes'
    before = rows(path, query)
    assert "8 open reset codes were voided" in upgrade(url(path))
    assert rows(path, query) == before
    assert rows(path, "SELECT DISTINCT used, attempts, subject FROM codes") == [(1, 0, "")]
    kept = "SELECT name FROM sqlite_master WHERE name IN ('code_log', 'touch', 'my_own', 'codes') ORDER BY name"
    assert rows(path, kept) == [("code_log",), ("codes",), ("my_own",), ("touch",)]
    assert (
        "REFERENCES password_reset_codes (" in rows(path, "SELECT sql FROM sqlite_master WHERE name='deliveries'")[0][0]
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [0, 1])
def test_rel22_files_of_nobody_and_of_one(path: Path, shape: str, count: int) -> None:
    before = legacy_files.build(path, shape, count)
    assert f"{count} accounts were adopted" in upgrade(url(path))
    if count:
        assert_same_people(path, before)


def sign_in_name(person: Person) -> str:
    """Return what this person types: the username, unless it has become somebody's address or number."""
    return str(person.values["email" if person.oddity.startswith("name is another's") else "username"])


def assert_they_sign_in(world: World, chosen: list[Person]) -> None:
    for person in chosen:
        answer = world.login(sign_in_name(person), str(person.plain))
        assert answer.status == 200, (person, answer.body)
        assert answer.body["user"]["id"] == person.values["id"]
        assert answer.body["user"]["username"] == person.values["username"]


def test_rel22_people_sign_in_with_their_old_passwords(path: Path, make_world: Callable[..., World]) -> None:
    chosen = legacy_files.sample_logins(legacy_files.build(path, "d", SMALL), 60)
    assert {person.oddity for person in chosen} >= {oddity for oddity, _ in legacy_files.ODDITIES if "phone" in oddity}
    upgrade(url(path))
    world = make_world(database_url=url(path))
    assert_they_sign_in(world, chosen)
    assert_they_sign_in(world, chosen[:5])  # by the new hash
    assert world.login("alice0", "Wrong-1234").status == 401


KINDS = {
    "username of an older account": 2 * 3,
    "e-mail address of an older account": 2 * 3,
    "phone number of an older account": 3 * 3,
    "look-alike username": 1 * 3,
    "a name of two kinds": 2 * 3,
    "unreadable e-mail address": 1 * 3,
    "unreadable phone number": 1 * 3,
    "role outside the set": 2 * 3,
    "regulator": 1 * 3,
}


def test_rel22_the_report_counts_and_names_each_conflict(path: Path) -> None:
    before = legacy_files.build(path, "d", SMALL)
    told = plan(url(path))
    unusable = sum(row.plain is None for row in before)
    for kind, count in (KINDS | {"unusable password hash": unusable}).items():
        assert f"{kind}: {count}" in told.splitlines()
    assert not any(row.values["password_hash"] in told for row in before if row.values["password_hash"])
    assert "forged" not in told
    assert Counter(line.partition(":")[0] for line in told.splitlines())["  #1"] <= 2


def user(user_id: int, username: str = "", email: str = "", phone: str | None = None) -> LegacyRow:
    return LegacyRow(user_id, username or f"user{user_id}", email or f"user{user_id}@example.com", phone, "", "unauth")


TWINS = [
    ("username_key", user(1, "Alice"), user(2, "alice"), "alice"),
    ("username_key", user(1, "ａlice"), user(2, "alice"), "alice"),
    ("username_skeleton", user(1, "paypal"), user(2, "pаypal"), None),
    ("email_key", user(1, email=" A@x.com"), user(2, email="a@X.com"), "a@x.com"),
    ("phone_key", user(1, phone="0086-138-0013-8000"), user(2, phone="１３８００１３８０００"), "+8613800138000"),
]


@pytest.mark.parametrize(("key", "older", "younger", "form"), TWINS)
def test_rel22_the_older_id_owns_the_canonical_form(
    key: str, older: LegacyRow, younger: LegacyRow, form: str | None
) -> None:
    first, second = make_plan([younger, older]).keys
    assert (first["row_id"], second["row_id"]) == (1, 2)
    assert first[key] is not None and form in (None, first[key])
    assert second[key] is None


def test_rel22_bytes_that_are_no_text_are_told_of_and_kept(path: Path) -> None:
    legacy_files.build(path, "d", 3)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE users SET username = CAST(x'ff00' AS TEXT), phone = CAST(x'fe' AS TEXT) WHERE id = 2")
    told = upgrade(url(path))
    assert "unreadable username: 1" in told and "unreadable phone number: 1" in told
    assert rows(path, "SELECT hex(username), username_key FROM users WHERE id = 2") == [("FF00", None)]


def test_a_second_run_changes_nothing(path: Path) -> None:
    legacy_files.build(path, "d", SMALL)
    upgrade(url(path))
    before = path.read_bytes(), sorted(path.parent.iterdir())
    assert upgrade(url(path)) == plan(url(path)) == "The database is up to date."
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before


@pytest.mark.parametrize("wal", [False, True], ids=["rollback", "wal"])
def test_a_plan_changes_nothing(path: Path, wal: bool) -> None:
    legacy_files.build(path, "d", SMALL, wal=wal)
    before = path.read_bytes(), mode(path), list(path.parent.iterdir())
    assert "would be adopted" in plan(url(path))
    assert current(url(path)) == "not set up"
    assert (path.read_bytes(), mode(path), list(path.parent.iterdir())) == before


def test_a_new_database_is_its_owners_alone_and_needs_no_plan(path: Path) -> None:
    assert "new database would be made" in plan(url(path))
    assert not path.exists()
    assert upgrade(url(path)) == "The database is now at version 0005."
    assert mode(path) == 0o600
    assert current(url(path)) == head() == HEAD
    assert history() == [
        "0005 The language in which owners are told what happens to their account.",
        "0004 Contacts that their owner has proved; wrong tries of codes that are counted over weeks.",
        "0003 Messages that wait to be sent.",
        "0002 Sessions that refresh, signing keys that rotate, counters that processes share.",
        "0001 Adopt a legacy database, or create a new one.",
    ]
    assert not kept_copies(path)


def test_a_copy_of_an_interrupted_run_is_kept_and_another_file_gets_its_own(path: Path) -> None:
    legacy_files.build(path, "a", 3)
    first = copies.keep_copy(path)
    assert copies.keep_copy(path) == first
    legacy_files.build(path.with_name("other.db"), "a", 4)
    path.with_name("other.db").replace(path)
    second = copies.keep_copy(path)
    assert second.name == first.name + "-2"
    assert kept_copies(path) == [first, second]


REFUSED: list[tuple[str, str]] = [
    ("CREATE TABLE sessions (id INTEGER PRIMARY KEY, session_id TEXT, data BLOB)", "table sessions of another program"),
    ("ALTER TABLE users RENAME COLUMN password_hash TO secret", "lacks password_hash"),
]


@pytest.mark.parametrize(("statement", "reason"), REFUSED)
@pytest.mark.parametrize("door", [plan, upgrade])
def test_a_database_of_another_program_is_refused(
    path: Path, statement: str, reason: str, door: Callable[[str], str]
) -> None:
    legacy_files.build(path, "c", 3)
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
    before = path.read_bytes()
    with pytest.raises(SettingsRefused, match=reason):
        door(url(path))
    assert path.read_bytes() == before


def test_what_is_no_database_or_newer_or_nowhere_is_refused(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(SettingsRefused, match="not a database"):
        upgrade(url(path))
    path.unlink()
    upgrade(url(path))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(SettingsRefused, match="newer program"):
        upgrade(url(path))
    with pytest.raises(SettingsRefused, match="can't be opened"):
        upgrade(url(path.parent / "nowhere" / "x.db"))


@pytest.mark.parametrize("wal", [False, True], ids=["rollback", "wal"])
def test_rel23_a_locked_file_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch, wal: bool) -> None:
    legacy_files.build(path, "c", 3, wal=wal)
    monkeypatch.setattr(connection, "LOCK_WAIT_SECONDS", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = path.read_bytes(), mode(path)
        with pytest.raises(SettingsRefused, match="in use by another program"):
            upgrade(url(path))
        assert (path.read_bytes(), mode(path)) == before
        other.execute("ROLLBACK")
    assert not kept_copies(path)
    assert "3 accounts were adopted" in upgrade(url(path))


def test_no_room_for_the_copy_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    legacy_files.build(path, "c", 3)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsRefused, match="No space left"):
        upgrade(url(path))
    assert path.read_bytes() == before
    assert not kept_copies(path)


def flask_db(path: Path, *words: str) -> str:
    app = Flask("old")
    install(app, url(path))
    result = app.test_cli_runner().invoke(args=["db", *words])
    assert result.exit_code == 0, result.output
    return str(result.output)


@pytest.mark.parametrize("shape", ["new", *SHAPES])
def test_flask_db_upgrades_and_finds_no_difference(path: Path, shape: str) -> None:
    if shape != "new":
        legacy_files.build(path, shape, SMALL, extras=True)
    told = flask_db(path, "upgrade")
    assert ("accounts were adopted" in told) == (shape != "new")
    assert mode(path) == 0o600
    assert "0005 (head)" in flask_db(path, "current")
    assert "0005 (head)" in flask_db(path, "history")
    steps = sorted((FOLDER / "versions").iterdir())
    assert "Nothing differs" in flask_db(path, "migrate", "-m", "nothing")
    assert sorted((FOLDER / "versions").iterdir()) == steps
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["url"] = url(path)
    command.check(config)


def test_a_unique_index_and_a_unique_phone_of_old_are_no_difference(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, username VARCHAR(80), email VARCHAR(120), password_hash TEXT,"
            " phone VARCHAR(30), role VARCHAR(20)); CREATE UNIQUE INDEX ix_users_username ON users (username);"
            "CREATE UNIQUE INDEX ix_users_phone ON users (phone); INSERT INTO users (id, username) VALUES (5, 'lonely');"
        )
    upgrade(url(path))
    assert "Nothing differs" in flask_db(path, "migrate")
    assert rows(path, "SELECT \"unique\" FROM pragma_index_list('users') WHERE name = 'ix_users_phone'") == [(0,)]
    assert rows(path, "SELECT id, username_key, email_key, role FROM users") == [(5, "lonely", None, "unauth")]


def test_the_versions_end_where_this_program_stands() -> None:
    assert ScriptDirectory(str(FOLDER)).get_heads() == [HEAD]


@pytest.mark.attacks
@pytest.mark.parametrize("shape", SHAPES)
def test_rel22_two_hundred_people_sign_in_at_a_real_server(
    tmp_path: Path, start_server: Callable[..., Server], shape: str
) -> None:
    chosen = legacy_files.sample_logins(legacy_files.build(tmp_path / "app.sqlite3", shape))
    server = start_server(tmp_path)
    assert len(chosen) == 200
    for person in chosen:
        answer = server.login(sign_in_name(person), str(person.plain))
        assert (answer.status_code, answer.json()["user"]["id"]) == (200, person.values["id"]), person


@pytest.mark.attacks
@pytest.mark.parametrize("shape", SHAPES)
def test_rel22_ten_thousand_people_column_by_column(path: Path, shape: str) -> None:
    before = legacy_files.build(path, shape)
    upgrade(url(path))
    assert len(before) == 10_000
    assert_same_people(path, before)
    [copy] = kept_copies(path)
    assert_findings_are_true(path, copy.with_name(copy.name + ".report.txt").read_text())
    assert len({row.scheme for row in legacy_files.sample_logins(before)}) == len(
        {row.scheme for row in before if row.plain}
    )


def upgrading(address: str, said: Any) -> None:
    said.put(upgrade(address))


@pytest.mark.attacks
def test_rel25_two_upgrades_at_once_do_no_harm(path: Path) -> None:
    before = legacy_files.build(path, "d", 5000)
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    both = [context.Process(target=upgrading, args=(url(path), said)) for _ in range(2)]
    for one in both:
        one.start()
    told = sorted(said.get(timeout=120) for _ in both)
    for one in both:
        one.join()
    assert told[1] == "The database is up to date." and "5000 accounts were adopted" in told[0]
    assert_same_people(path, before)
    assert len(kept_copies(path)) == 1


# Dies of SIGKILL at a given statement; in a cache this small, half the file is rewritten long before the commit.
DYING = """
import os, signal, sys
from sqlalchemy import Engine, event
from yaoshi.migrations.upgrade import upgrade
left = int(sys.argv[2])
def count(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(Engine, "after_cursor_execute", count)
event.listen(Engine, "commit", count)
if sys.argv[3] == "spill":
    event.listen(Engine, "connect", lambda it, _: it.executescript("PRAGMA cache_spill=ON; PRAGMA cache_size=5"))
upgrade(sys.argv[1])
print(int(sys.argv[2]) - left)
"""


def dying_upgrade(path: Path, moment: int, how: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", DYING, url(path), str(moment), how]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.mark.attacks
@pytest.mark.parametrize("how", ["rollback", "wal", "spill"])
def test_rel22_a_killed_upgrade_leaves_the_file_and_resumes(tmp_path: Path, how: str, request: Any) -> None:
    path = tmp_path / "old.db"
    legacy_files.build(path, "d", 1000, wal=how == "wal")
    last = int(dying_upgrade(path, 0, how).stdout)
    rounds = 4 * request.config.getoption("--rounds")
    for moment in sorted({1 + (last - 1) * number // (rounds - 1) for number in range(rounds)}):
        path = tmp_path / f"{moment}.db"
        before = legacy_files.build(path, "d", 1000, wal=how == "wal")
        old, nbytes = dump(path), path.read_bytes()
        assert dying_upgrade(path, moment, how).returncode == -signal.SIGKILL
        if how == "spill":
            with suppress(SettingsRefused):
                assert "would be adopted" in plan(url(path))
        else:
            assert path.read_bytes() == nbytes
            assert "would be adopted" in plan(url(path))
        assert dump(path) == old
        assert "1000 accounts were adopted" in upgrade(url(path))
        assert_same_people(path, before)
        assert [dump(copy) for copy in kept_copies(path)] == [old]


def test_rel22_a_failure_in_the_middle_undoes_everything(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = legacy_files.build(path, "d", SMALL)
    old = dump(path)
    monkeypatch.setattr(legacy, "_value", lambda name, old: column("no_such_column"))
    with pytest.raises(SettingsRefused, match="no_such_column"):
        upgrade(url(path))
    assert dump(path) == old
    monkeypatch.undo()
    upgrade(url(path))
    assert_same_people(path, before)
    assert len(kept_copies(path)) == 1


OLD_POSTGRES = """
CREATE TABLE users (id serial PRIMARY KEY, username varchar(80) UNIQUE, email varchar(120) UNIQUE, role varchar(20),
 password_hash varchar(128), phone varchar(30), created_at timestamp, touched integer DEFAULT 0);
CREATE INDEX ix_users_phone ON users (phone, id);
CREATE TABLE password_reset_codes (id serial PRIMARY KEY, user_id integer NOT NULL REFERENCES users (id),
 channel varchar(10), expires_at timestamp, used boolean);
CREATE TABLE orders (user_id integer REFERENCES users (id));
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.touched := 1; RETURN new; END';
CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO users (username, email, role, phone, created_at) VALUES
 ('Alice', 'a@x.com', NULL, '13800138000', '2020-01-02 03:04:05.5'), ('alice', 'A@x.com', 'regulator', '', NULL);
INSERT INTO password_reset_codes (user_id, used) VALUES (1, false), (2, NULL), (2, true);
INSERT INTO orders VALUES (2);
"""


@pytest.mark.postgres
def test_rel22_rel25_postgresql_is_adopted_by_one_of_two_at_once() -> None:
    server = Postgres()
    try:
        address = server.create("old")
        engine = create_engine(address, poolclass=NullPool)
        with engine.begin() as db:
            db.exec_driver_sql(OLD_POSTGRES)
        assert "2 accounts would be adopted" in plan(address)
        with ThreadPoolExecutor() as pool:
            told = sorted(pool.map(upgrade, [address] * 2))
        assert "2 open reset codes were voided" in told[0]
        assert told[1] == plan(address) == "The database is up to date."
        with engine.begin() as db:
            people = db.exec_driver_sql(
                "SELECT id, role, username_key, touched, created_at FROM users ORDER BY id"
            ).all()
            assert [tuple(row)[:4] for row in people] == [(1, "unauth", "alice", 0), (2, "regulator", None, 0)]
            assert people[0][4] == datetime(2020, 1, 2, 3, 4, 5, 500000, UTC)
            codes = db.exec_driver_sql("SELECT id, user_id, used FROM password_reset_codes ORDER BY id").all()
            assert [tuple(row) for row in codes] == [(1, 1, True), (2, 2, True), (3, 2, True)]
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["url"] = address
        command.check(config)
        fresh = config.attributes["url"] = server.create("fresh")
        assert upgrade(fresh) == "The database is now at version 0005."
        command.check(config)
    finally:
        server.stop()
