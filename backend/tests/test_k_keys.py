"""Attack list, letter K, and the secrets: keys are published, sign, verify and end; the secret that seals them rotates."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from conftest import SECRET, World
from servers import yaoshi
from yaoshi import bootstrap
from yaoshi.bootstrap import OPERATOR
from yaoshi.core.errors import SettingsRefused
from yaoshi.core.secretbox import SecretBox, Unsealable
from yaoshi.instance import with_own_secret
from yaoshi.keys.policy import Phase, phases
from yaoshi.settings import Mode, Settings, load

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NEWER = "newer0f9e8d7c6b5a49382716f5e4d3c2b1a0zyxwvu"
SHARED = "shared0f9e8d7c6b5a49382716f5e4d3c2b1a0zyxwvu"


@pytest.fixture
def ana(world: World) -> World:
    world.register()
    return world


def kid_of(token: str) -> str:
    return str(jwt_header(token)["kid"])


def jwt_header(token: str) -> dict[str, Any]:
    from joserfc.jws import extract_compact

    return dict(extract_compact(token.encode()).headers())


def key_set(world: World) -> list[dict[str, Any]]:
    answer = world.call("GET", "/.well-known/jwks.json")
    assert answer.status == 200 and answer.headers["Cache-Control"] == "public, max-age=300"
    return list(answer.body["keys"])


def phases_of(world: World) -> list[Phase]:
    return [phase for _, phase in world.house.ring.listing()]


def test_k01_a_rotation_publishes_first_then_signs_then_lets_old_tokens_end(ana: World) -> None:
    old = ana.token()
    ana.house.ring.rotate(OPERATOR, at_once=False)
    assert phases_of(ana) == [Phase.SIGNING, Phase.PUBLISHED] and kid_of(ana.token()) == kid_of(old)
    assert [key["kid"] for key in key_set(ana)][1] == kid_of(old)
    ana.clock.advance(seconds=601)
    new = ana.token()
    assert kid_of(new) != kid_of(old) and phases_of(ana) == [Phase.VERIFYING, Phase.SIGNING]
    assert ana.me(old).status == ana.me(new).status == 200
    ana.clock.advance(hours=12, minutes=6)
    assert phases_of(ana) == [Phase.OVER, Phase.SIGNING] and len(key_set(ana)) == 1
    ana.house.ring.keep(OPERATOR)
    assert [bool(row[0]) for row in ana.rows("SELECT sealed_private FROM signing_keys")] == [False, True]


def test_k02_a_retired_key_voids_its_tokens_and_no_others(ana: World) -> None:
    old = ana.token()
    assert ana.me(old).status == 200, "its signature is known already"
    with pytest.raises(SettingsRefused, match="rotate --now"):
        ana.house.ring.retire(OPERATOR, kid_of(old))
    ana.house.ring.rotate(OPERATOR, at_once=True)
    new = ana.token()
    other = bootstrap.build(ana.house.settings, ana.clock)
    other.open()
    other.ring.retire(OPERATOR, kid_of(old))
    other.close()
    ana.clock.advance(seconds=1.1)
    assert ana.me(old).status == 401 and ana.me(new).status == 200 and len(key_set(ana)) == 1
    with pytest.raises(SettingsRefused, match="no signing key"):
        ana.house.ring.retire(OPERATOR, "unknown")


def test_k06_a_token_of_a_key_that_another_process_just_made_is_known_at_once(ana: World) -> None:
    assert ana.me(ana.token()).status == 200
    other = bootstrap.build(ana.house.settings, ana.clock)
    other.open()
    other.ring.rotate(OPERATOR, at_once=True)
    session = ana.rows("SELECT id FROM sessions")[0][0]
    now = ana.clock.now()
    token = other.keys.sign(1, session, now, now.replace(year=now.year + 1))
    other.close()
    assert ana.me(token).status == 200


class At:
    def __init__(self, signs_from: int, retired: bool = False) -> None:
        self.signs_from = NOON.replace(hour=signs_from)
        self.retired_at = NOON if retired else None


P, S, V, X = Phase.PUBLISHED, Phase.SIGNING, Phase.VERIFYING, Phase.OVER


@pytest.mark.parametrize(
    "keys, expected",
    [
        ([At(1)], [S]),
        ([At(1), At(9)], [V, S]),
        ([At(1), At(13)], [S, P]),
        ([At(1), At(9), At(13)], [V, S, P]),
        ([At(1), At(9, retired=True)], [S, X]),  # K04: the newest that may sign, never a retired one
        ([At(1, retired=True), At(9)], [X, S]),
        ([At(13), At(9)], [P, S]),  # made at once, while another waits
        ([At(13)], [P]),
    ],
)
def test_k04_the_newest_key_whose_time_has_come_signs(keys: list[At], expected: list[Phase]) -> None:
    assert phases(keys, NOON) == expected


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_every_algorithm_signs_and_is_verified_by_the_key_set(make_world: Callable[..., World], algorithm: str) -> None:
    world = make_world(signing_algorithm=algorithm)
    world.register()
    token = world.token()
    assert jwt_header(token)["alg"] == algorithm and world.me(token).status == 200
    listed = key_set(world)
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(listed[0]) and listed[0]["alg"] == algorithm
    assert jwt.decode(token, KeySet.import_key_set({"keys": listed}), algorithms=[algorithm]).claims["sub"] == "1"


def test_another_algorithm_takes_over_at_the_next_start(ana: World, make_world: Callable[..., World]) -> None:
    old = ana.token()
    url = ana.house.settings.database_url
    other = make_world(database_url=url, signing_algorithm="RS256")
    assert other.me(old).status == 200 and [key["alg"] for key in key_set(other)] == ["RS256", "ES256"]
    other.clock.advance(seconds=601)
    assert jwt_header(other.token())["alg"] == "RS256"


def test_a_key_makes_room_for_the_next_by_age(ana: World) -> None:
    ana.token()
    ana.house.ring.keep(OPERATOR)
    assert len(phases_of(ana)) == 1
    ana.clock.advance(days=91)
    ana.house.ring.keep(OPERATOR)
    ana.house.ring.keep(OPERATOR)
    assert phases_of(ana) == [Phase.SIGNING, Phase.PUBLISHED]


def test_shared_secrets_rotate_and_publish_nothing(make_world: Callable[..., World]) -> None:
    one = make_world(jwt_secret_key=SHARED)
    one.register()
    token = one.token()
    both = make_world(database_url=one.house.settings.database_url, jwt_secret_keys=(NEWER, SHARED))
    assert both.me(token).status == 200 and kid_of(both.token()) != kid_of(token)
    assert both.call("GET", "/.well-known/jwks.json").body == {"keys": []}
    with pytest.raises(SettingsRefused, match="JWT_SECRET_KEYS"):
        both.house.ring.rotate(OPERATOR, at_once=True)
    newest = make_world(database_url=one.house.settings.database_url, jwt_secret_keys=(NEWER,))
    assert newest.me(token).status == 401


def test_the_secret_itself_rotates_and_nobody_is_signed_out(ana: World, make_world: Callable[..., World]) -> None:
    mine = ana.login().body
    code = ana.ask_code().body["debug_code"]
    url = ana.house.settings.database_url
    both = make_world(database_url=url, secret_key="", secret_keys=(NEWER, SECRET))
    assert both.me(mine["access_token"]).status == 200 and both.house.ring.sealed_by_older() == 1
    renewed = both.post("refresh", {"refresh_token": mine["refresh_token"]})
    assert renewed.status == 200
    assert both.reset(code).status == 400, "codes are short-lived: one that was asked for before is asked for again"
    assert both.reset(both.ask_code().body["debug_code"]).status == 200
    assert both.house.ring.reseal(OPERATOR) == 1 and both.house.ring.reseal(OPERATOR) == 0
    after = make_world(database_url=url, secret_key=NEWER)
    assert after.call("GET", "/readyz").status == 200 and len(key_set(after)) == 1
    forgotten = make_world(database_url=url, secret_key=SECRET)
    assert forgotten.call("GET", "/readyz").body["code"] == "not_ready"


def test_k06_a_process_without_the_newest_secret_goes_on_checking_and_signs_nothing(
    ana: World, make_world: Callable[..., World]
) -> None:
    mine = ana.login().body
    newer = make_world(database_url=ana.house.settings.database_url, secret_key="", secret_keys=(NEWER, SECRET))
    newer.house.open()
    newer.house.ring.rotate(OPERATOR, at_once=True)
    theirs = newer.login().body
    ana.clock.advance(seconds=2)
    assert ana.me(theirs["access_token"]).status == ana.me(mine["access_token"]).status == 200
    assert len(key_set(ana)) == 2
    refused = ana.login()
    assert (refused.status, refused.body["code"]) == (503, "not_ready") and refused.headers["Retry-After"]
    assert newer.post("refresh", {"refresh_token": mine["refresh_token"]}).status == 200


def test_k06_a_secret_that_all_know_before_it_is_the_first_signs_nobody_out(
    ana: World, make_world: Callable[..., World]
) -> None:
    url, held = ana.house.settings.database_url, ana.login().body["refresh_token"]
    knows = make_world(database_url=url, secret_key="", secret_keys=(SECRET, NEWER))
    uses = make_world(database_url=url, secret_key="", secret_keys=(NEWER, SECRET))
    for process in (ana, knows, uses, knows, uses):
        answer = process.post("refresh", {"refresh_token": held})
        assert answer.status == 200
        held = answer.body["refresh_token"]


def test_k02_a_clock_that_was_set_back_keeps_no_retired_key(ana: World) -> None:
    old = ana.token()
    ana.house.ring.rotate(OPERATOR, at_once=True)
    assert ana.me(old).status == 200
    other = bootstrap.build(ana.house.settings, ana.clock)
    other.open()
    other.ring.retire(OPERATOR, kid_of(old))
    other.close()
    ana.clock.advance(seconds=-20)
    assert ana.me(old).status == 401


def test_x_a_copy_of_the_database_alone_yields_nothing(ana: World, make_world: Callable[..., World]) -> None:
    mine, code = ana.login().body, ana.ask_code().body["debug_code"]
    thief = SecretBox("thief0f9e8d7c6b5a49382716f5e4d3c2b1a0zyxwvu")
    session, sealed = (
        ana.rows(f"SELECT {what}")[0][0] for what in ("id FROM sessions", "sealed_private FROM signing_keys")
    )
    with pytest.raises(Unsealable):
        thief.unseal("signing keys", sealed)
    forged = f"v1.{session}.0.{thief.digest('refresh tokens', session, '0')}"
    assert ana.post("refresh", {"refresh_token": forged}).status == 401
    dump = "".join(
        str(ana.rows(f"SELECT * FROM {table}"))
        for (table,) in ana.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
    )
    for secret in (mine["refresh_token"].split(".")[3], mine["access_token"].split(".")[2], f"'{code}'", SECRET):
        assert secret not in dump
    subject, kept = ana.rows("SELECT subject, code_hash FROM password_reset_codes")[0]
    assert not any(thief.knows(kept, "codes", subject, f"{number:06}") for number in (int(code), 0, 123456))


@pytest.mark.parametrize("spoil", ["readable", "symlink"])
def test_k05_an_own_secret_that_others_may_have_is_refused(
    tmp_path: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, elsewhere = tmp_path / "secret_key", tmp_path / "elsewhere"
    elsewhere.write_text(SECRET)
    if spoil == "symlink":
        own.symlink_to(elsewhere)
    else:
        own.write_text(SECRET)
        own.chmod(0o644)
        monkeypatch.setattr(Path, "chmod", lambda *_: None)  # a file system that keeps no modes
    with pytest.raises(SettingsRefused, match="plain file"):
        with_own_secret(Settings(mode=Mode.DEVELOPMENT))


@pytest.mark.parametrize("where", ["folder", "lower", "systemd", "several"])
def test_secrets_come_from_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    name = {"lower": "secret_key", "several": "SECRET_KEYS"}.get(where, "SECRET_KEY")
    (tmp_path / name).write_text(f"{NEWER}\n{SECRET}\n" if where == "several" else f"{SECRET}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY" if where == "systemd" else "YAOSHI_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("FLASK_ENV", "production")
    assert load()[0].secrets == ((NEWER, SECRET) if where == "several" else (SECRET,))


@pytest.mark.parametrize(
    "given, named",
    [
        ({"SECRET_KEY": SECRET, "SECRET_KEYS": NEWER}, "SECRET_KEY and SECRET_KEYS"),
        ({"SECRET_KEYS": f"{SECRET},short"}, "SECRET_KEYS is shorter"),
        ({"SECRET_KEYS": " , "}, "SECRET_KEY is missing"),
        ({"SECRET_KEY": SECRET, "JWT_SECRET_KEYS": f"{SHARED} x"}, "JWT_SECRET_KEYS is shorter"),
        ({"SECRET_KEY": SECRET, "JWT_SECRET_KEYS": SECRET}, "must differ"),
        ({"SECRET_KEY": SECRET, "YAOSHI_INTROSPECTION_CREDENTIALS": "shop:1234"}, "YAOSHI_INTROSPECTION_CREDENTIALS"),
        ({"SECRET_KEY": SECRET, "YAOSHI_SIGNING_ALGORITHM": "HS256"}, "YAOSHI_SIGNING_ALGORITHM"),
        ({"SECRET_KEY": SECRET, "YAOSHI_VAULT_SECRET": "nopath"}, "YAOSHI_VAULT_SECRET"),
        ({"YAOSHI_VAULT_SECRET": "secret/yaoshi", "VAULT_ADDR": "http://127.0.0.1:9"}, "VAULT_ADDR"),
    ],
)
def test_wrong_key_material_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: str
) -> None:
    for name, value in ({"FLASK_ENV": "production"} | given).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsRefused, match=named) as refused:
        load()
    assert not any(secret in str(refused.value) for secret in (SECRET, NEWER, SHARED))


@pytest.fixture
def vault() -> Iterator[dict[str, Any]]:
    """Answers as Vault's KV v2 does for one token and one path."""
    seen: dict[str, Any] = {
        "token": "s.right",
        "members": {"SECRET_KEY": SECRET, "YAOSHI_AUDIENCE": "shop"},
        "calls": 0,
    }

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen["calls"] += 1
            right = self.headers.get("X-Vault-Token") == seen["token"]
            found = self.path == "/v1/secret/data/team/yaoshi"
            status = 200 if right and found else 404 if right else 403
            data = {"data": {"data": seen["members"], "metadata": {"version": 3}}}
            body = json.dumps(
                data if status == 200 else {"errors": ["permission denied"] if status == 403 else []}
            ).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    seen["url"] = f"http://127.0.0.1:{server.server_port}"
    yield seen
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "token, path, named", [("s.right", "secret/team/yaoshi", None), ("s.wrong", "secret/team/yaoshi", "Forbidden"),
                           ("s.right", "secret/other", "InvalidPath")]
)  # fmt: skip
def test_secrets_come_from_vault(
    vault: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str, path: str, named: str | None
) -> None:
    (tmp_path / "token").write_text(f"{token}\n")
    for name, value in {"VAULT_ADDR": vault["url"], "VAULT_TOKEN_FILE": str(tmp_path / "token")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("YAOSHI_VAULT_SECRET", path)
    monkeypatch.setenv("FLASK_ENV", "production")
    if named:
        with pytest.raises(SettingsRefused, match=named) as refused:
            load()
        assert token not in str(refused.value)
    else:
        settings = load()[0]
        assert settings.secret_key == SECRET and settings.audience == "shop" and SECRET not in repr(settings)
        monkeypatch.setenv("YAOSHI_AUDIENCE", "nearer")
        assert load()[0].audience == "nearer"


def test_an_operator_makes_checks_and_rotates_secrets(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    production = {"FLASK_ENV": "production", "YAOSHI_SECRETS_DIR": str(folder)}

    def run(*arguments: str, code: int = 0, **extra: str) -> str:
        done = yaoshi(tmp_path, *arguments, **production, **extra)
        assert done.returncode == code, done.stdout + done.stderr
        first = (folder / "SECRET_KEY").read_text().strip() if (folder / "SECRET_KEY").exists() else "?"
        assert first not in done.stdout + done.stderr, "no value is ever told"
        return done.stdout + done.stderr

    assert "SECRET_KEY is missing" in run("db", "upgrade", code=2)
    run("secrets", "init")
    assert folder.stat().st_mode & 0o077 == 0 and (folder / "SECRET_KEY").stat().st_mode & 0o077 == 0
    assert "never overwritten" in run("secrets", "init", code=2)
    run("db", "upgrade")
    assert f"SECRET_KEY: from {folder / 'SECRET_KEY'}; good" in run("secrets", "check")
    run("keys", "rotate", "--now")
    assert "Restart" in run("secrets", "rotate") and not (folder / "SECRET_KEY").exists()
    assert "2, newest first" in run("secrets", "check") and "1 sealed by an older" in run("secrets", "check")
    assert "1 signing keys were sealed again" in run("secrets", "rotate")
    assert "0 sealed by an older" in run("secrets", "check")
    listed = run("keys", "list")
    kid = listed.split()[0]
    assert "signing" in listed and "rotate --now" in run("keys", "retire", kid, code=2)
    assert "published and signs in 600" in run("keys", "rotate")
    (folder / "SECRET_KEYS").chmod(0o666)
    assert "can be written by others" in run("secrets", "check", code=1)
    (folder / "SECRET_KEYS").write_text("another0f9e8d7c6b5a49382716f5e4d3c2b1a0zyxw\n")
    assert "is not the one that sealed" in run("secrets", "check", code=2)


def test_doctor_tells_no_secret(tmp_path: Path) -> None:
    done = yaoshi(tmp_path, "doctor", FLASK_ENV="production", SECRET_KEY=SECRET, JWT_SECRET_KEYS=f"{NEWER},{SHARED}")
    assert not any(secret in done.stdout + done.stderr for secret in (SECRET, NEWER, SHARED)), done.stdout


@pytest.mark.skipif(os.name == "nt", reason="process lists are POSIX")
def test_no_secret_is_in_the_process_list(start_server: Callable[..., Any]) -> None:
    server = start_server(FLASK_ENV="production", SECRET_KEY=SECRET)
    assert SECRET not in Path(f"/proc/{server.process.pid}/cmdline").read_text()
    assert SECRET not in server.log.read_text()
