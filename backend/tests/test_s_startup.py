"""Attack list, letter S, and what an operator meets: starts that are refused, commands, files."""

import os
import re
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from gateways import Gateway

from conftest import SECRET, World
from servers import BACKEND, Server, environment_of, yaoshi
from yaoshi import instance
from yaoshi.bootstrap import OPERATOR
from yaoshi.core.errors import SettingsRefused
from yaoshi.settings import Mode, Settings, load

GOOD = {"FLASK_ENV": "production", "SECRET_KEY": SECRET}
REFUSED = {
    "S01-missing": ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
    "S01-short": ({"SECRET_KEY": "a1b2c3d4e5f6"}, "shorter than 32 bytes"),
    "S01-dev-secret": ({"SECRET_KEY": "dev-secret"}, "SECRET_KEY"),
    "S01-well-known": ({"SECRET_KEY": "please-changeme-now-0123456789-abcdef"}, "well-known"),
    "S01-equal-bytes": ({"SECRET_KEY": "k" * 64}, "repeats"),
    "S01-jwt": ({"JWT_SECRET_KEY": "jwt-secret"}, "JWT_SECRET_KEY"),
    "S01-jwt-short": ({"JWT_SECRET_KEY": "a1b2c3d4e5f6"}, "JWT_SECRET_KEY is shorter"),
    "S01-same": ({"JWT_SECRET_KEY": SECRET}, "must differ"),
    "S02-flask-debug": ({"FLASK_DEBUG": "1"}, "FLASK_DEBUG"),
    "S02-debug": ({"DEBUG": "true"}, "DEBUG"),
    "S02-testing": ({"TESTING": "yes"}, "TESTING"),
    "S04-any": ({"YAOSHI_CORS_ORIGINS": "*"}, "YAOSHI_CORS_ORIGINS"),
    "S04-null": ({"YAOSHI_CORS_ORIGINS": "null"}, "YAOSHI_CORS_ORIGINS"),
    "S04-http": ({"YAOSHI_CORS_ORIGINS": "http://app.example.com"}, "YAOSHI_CORS_ORIGINS"),
    "S04-wildcard": ({"YAOSHI_CORS_ORIGINS": "https://*.example.com"}, "YAOSHI_CORS_ORIGINS"),
    "mode": ({"FLASK_ENV": "staging"}, "FLASK_ENV"),
    "role": ({"YAOSHI_SELF_ASSIGNABLE_ROLES": "admin"}, "YAOSHI_SELF_ASSIGNABLE_ROLES"),
    "rate": ({"YAOSHI_LIMIT_LOGIN_PAIR": "often"}, "YAOSHI_LIMIT_LOGIN_PAIR"),
    "proxies": ({"YAOSHI_TRUSTED_PROXIES": "example.com"}, "YAOSHI_TRUSTED_PROXIES"),
    "public-url": ({"PUBLIC_URL": "javascript:alert(1)"}, "PUBLIC_URL"),
    "public-url-port": ({"PUBLIC_URL": "https://id.example.com:abc"}, "PUBLIC_URL"),
    "public-url-user": ({"PUBLIC_URL": "https://ana@id.example.com"}, "PUBLIC_URL"),
    "file-for-secret": ({"SECRET_KEY": "", "SECRET_KEY_FILE": SECRET}, "SECRET_KEY: the file that SECRET_KEY_FILE"),
    "logo-missing": (
        {"YAOSHI_INSTALLATION_LOGO": "/nowhere/logo.svg"},
        "YAOSHI_INSTALLATION_LOGO: /nowhere/logo.svg can't",
    ),
    "logo-kind": ({"YAOSHI_INSTALLATION_LOGO": __file__}, "is no SVG or PNG file"),
    "file": ({"SECRET_KEY": "", "SECRET_KEY_FILE": "/nowhere"}, "SECRET_KEY: the file"),
}


@pytest.mark.parametrize(("environment", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_production_refuses_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], sentence: str
) -> None:
    for name, value in (GOOD | environment).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsRefused, match=sentence.replace("*", "[*]")) as refused:
        load()
    for value in environment.values():
        assert len(value) < 12 or value not in str(refused.value) or value.startswith(("/", "http"))


def test_good_settings_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET + "\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("FLASK_DEBUG", "0")
    monkeypatch.setenv("YAOSHI_LIMIT_LOGINS", "x")
    settings, warnings = load()
    assert (settings.mode, settings.secret_key) == (Mode.PRODUCTION, SECRET)
    assert warnings == ["YAOSHI_LIMIT_LOGINS is not a setting of this version; it was ignored."]


def test_an_old_weak_env_file_starts_in_development_without_its_secrets(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("FLASK_ENV=development\nSECRET_KEY=dev-secret\nJWT_SECRET_KEY=jwt-secret\n")
    settings, warnings = load(None, env)
    assert (settings.secret_key, settings.jwt_secret_key, len(warnings)) == ("", "", 1)
    kept = instance.with_own_secret(settings)
    assert len(kept.secret_key) > 40 and instance.with_own_secret(settings).secret_key == kept.secret_key
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_every_refused_start_ends_with_code_2(tmp_path: Path) -> None:
    yaoshi(tmp_path, "db", "upgrade", **GOOD)
    for arguments, extra, sentence in (
        (("serve",), {"FLASK_ENV": "production"}, "SECRET_KEY is missing"),
        (("serve", "--host", "0.0.0.0"), {}, "this machine only"),
        (
            ("serve", "--port", "1"),
            GOOD | {"DATABASE_URL": "sqlite:///other.db"},
            "not set up" if os.geteuid() == 0 else "Port 1",
        ),
        (("accounts", "show", "nobody"), {}, "No account is called nobody"),
        (("db", "upgrade"), {"DATABASE_URL": "mysql://x/y"}, "not supported"),
        (("db", "upgrade"), {"DATABASE_URL": "sqlite://"}, "names no file"),
        (("db", "upgrade"), {"DATABASE_URL": "postgresql://u:p@localhost:port/d"}, "DATABASE_URL can't be read"),
    ):
        done = yaoshi(tmp_path, *arguments, **extra)
        assert done.returncode == 2 and sentence in done.stderr, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr


def test_development_needs_a_terminal_or_a_word(tmp_path: Path) -> None:
    done = yaoshi(tmp_path, "serve", FLASK_ENV="")
    assert done.returncode == 2 and "SECRET_KEY" in done.stderr  # unset is production
    environment = environment_of(tmp_path, {})
    del environment["FLASK_ENV"]
    started = subprocess.run(
        [sys.executable, "run.py"],
        cwd=BACKEND,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode == 2 and "Without a terminal" in started.stderr


def test_development_refuses_a_database_that_production_served(make_world: Callable[..., World]) -> None:
    served = make_world("production")
    served.register()
    again = make_world("development", database_url=str(served.house.db.reader.url))
    assert again.call("GET", "/").code == "not_ready"
    with pytest.raises(SettingsRefused, match="Production has served"):
        again.house.open()


def test_another_secret_key_is_told_at_start(make_world: Callable[..., World]) -> None:
    world = make_world("production")
    world.register()
    other = make_world("production", database_url=str(world.house.db.reader.url), secret_key=SECRET[::-1])
    with pytest.raises(SettingsRefused, match="SECRET_KEY is not the one"):
        other.house.open()


def test_the_operator_does_everything_by_command(tmp_path: Path, make_world: Callable[..., World]) -> None:
    url = f"sqlite:///{tmp_path / 'operated.db'}"
    mail = {
        "YAOSHI_SMTP_URL": "smtp://127.0.0.1:1",
        "YAOSHI_MAIL_FROM": "a@example.org",
        "PUBLIC_URL": "https://a.example",
    }
    environment = {**GOOD, **mail, "DATABASE_URL": url}
    assert yaoshi(tmp_path, "db", "upgrade", **environment).returncode == 0
    world = make_world("production", database_url=url)
    world.register(phone="13800138000", role="regulator")
    assert "(asks for regulator)" in yaoshi(tmp_path, "accounts", "list", **environment).stdout
    bearer = world.token()
    with world.house.db.write(OPERATOR) as work:
        world.house.accounts.prove(work, 1, "email", alone=True)  # the phone has no power left; the operator gives it
    told = yaoshi(tmp_path, "accounts", "reset", "ana", "--channel", "phone", **environment).stdout
    assert world.me(bearer).status == 401
    notices = "SELECT count(*) FROM messages WHERE kind = 'sessions_ended' AND channel = 'email'"
    assert world.rows(notices) == [(1,)]
    code = told.split(": ")[1].split()[0]
    assert world.reset(code, channel="phone", contact="+86 138 0013 8000").status == 200
    bearer = world.token(password="Changed123")
    assert "supplier" in yaoshi(tmp_path, "accounts", "set-role", "13800138000", "supplier", **environment).stdout
    assert world.me(bearer).body["user"]["role"] == "supplier"  # T18: the role of this moment
    assert "disabled" in yaoshi(tmp_path, "accounts", "disable", "#1", **environment).stdout
    assert world.me(bearer).status == world.login(password="Changed123").status == 401
    yaoshi(tmp_path, "accounts", "enable", "ana@example.com", **environment)
    bearer = world.token(password="Changed123")
    assert yaoshi(tmp_path, "accounts", "end-sessions", "ana", **environment).returncode == 0
    assert world.me(bearer).status == 401 and world.rows(notices) == [(2,)]
    assert "good" in yaoshi(tmp_path, "doctor", **environment).stdout


def test_a_backup_is_whole_private_and_never_overwrites(world: World, tmp_path: Path) -> None:
    world.register()
    environment = {"DATABASE_URL": str(world.house.db.reader.url)}
    target = tmp_path / "copy.db"
    assert yaoshi(tmp_path, "backup", str(target), **environment).returncode == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sqlite3.connect(target).execute("SELECT username FROM users").fetchall() == [("ana",)]
    assert yaoshi(tmp_path, "backup", str(target), **environment).returncode == 2


def test_s05_files_are_their_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "yaoshi.db").touch(mode=0o644)
    yaoshi(tmp_path, "db", "upgrade")
    assert stat.S_IMODE((tmp_path / "yaoshi.db").stat().st_mode) == 0o600


def test_doctor_names_what_is_wrong(tmp_path: Path) -> None:
    done = yaoshi(tmp_path, "doctor", FLASK_ENV="production")
    assert done.returncode == 1 and "SECRET_KEY is missing" in done.stdout
    done = yaoshi(tmp_path, "doctor", DATABASE_URL="postgresql://u:p@127.0.0.1:99999/d")
    assert done.returncode == 1 and "Check DATABASE_URL" in done.stdout, done.stderr
    fresh = yaoshi(tmp_path, "doctor")
    assert fresh.returncode == 1 and "yaoshi db upgrade" in fresh.stdout


def test_figures_are_served_where_they_are_wanted_and_hold_nothing_typed(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    gateway, taken = Gateway("webhook"), socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]  # another process has it: the next free one is taken
    environment = {f"YAOSHI_{name.upper()}": str(value) for name, value in gateway.settings().items()}
    environment |= {"YAOSHI_METRICS_PORT": str(port), "YAOSHI_SMS_COUNTRIES": "852"}
    server = start_server(**environment)
    number = {"phone": "13800138000", "email": "canary@example.com", "password": "Secret123"}
    assert server.post("register", {"username": "canary", **number}).status_code == 201
    server.login("canary-of-nobody")
    server.say("GET", "/canary")
    asked = {"identifier": "canary", "channel": "phone", "contact": "13800138000"}
    assert server.post("request-reset-code", asked).status_code == 200
    place = re.search(r'"port":(\d+).*"event":"metrics"|"event":"metrics".*"port":(\d+)', server.log.read_text())
    assert place
    deadline, told = time.monotonic() + 20, ""
    while 'yaoshi_messages{channel="phone",state="dropped"} 1.0' not in told:
        assert time.monotonic() < deadline, told
        told = requests.get(f"http://127.0.0.1:{place[1] or place[2]}/metrics", timeout=10).text
    assert int(place[1] or place[2]) > port
    assert 'yaoshi_alarms_total{reason="sms_country_refused"} 1.0' in told
    assert 'yaoshi_requests_total{route="/api/auth/login",status="401"} 1.0' in told
    assert 'yaoshi_requests_total{route="",status="404"} 1.0' in told and "process_resident_memory_bytes" in told
    assert not re.search("canary|13800138000|Secret123", told)
    taken.close()
    gateway.close()
    program = "import sys, yaoshi.wsgi; yaoshi.wsgi.wsgi(); print('prometheus_client' in sys.modules)"
    quiet = subprocess.run(
        [sys.executable, "-c", program], cwd=BACKEND, env=environment_of(tmp_path, {}), capture_output=True, text=True
    )
    assert quiet.stdout.strip() == "False", quiet.stderr  # off by default


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        return path

    return make


def test_which_database_file_is_ours(
    files: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, backend = tmp_path / "instance", tmp_path / "backend"
    backend.mkdir()
    monkeypatch.setenv("YAOSHI_INSTANCE_DIR", str(folder))
    monkeypatch.setattr(instance, "checkout", lambda: backend)
    assert instance.database_url(Settings()) == f"sqlite:///{folder / 'yaoshi.db'}"
    old = files("backend/app.db")
    sqlite3.connect(backend / "other.sqlite3").execute("CREATE TABLE t (x)")
    assert instance.database_url(Settings()) == f"sqlite:///{old}"
    assert instance.database_url(Settings(database_url="sqlite:///app.db")) == f"sqlite:///{old}"
    files("instance/app.db")
    with pytest.raises(SettingsRefused, match="Several databases"):
        instance.database_url(Settings())
    with pytest.raises(SettingsRefused, match=r"both .*instance/app.db and .*backend/app.db exist"):
        instance.database_url(Settings(database_url="sqlite:///app.db"))
    assert (
        instance.database_url(Settings(database_url=f"sqlite:////{old}".replace("////", "///"))) == f"sqlite:///{old}"
    )
    assert "psycopg" in instance.database_url(Settings(database_url="postgres://u:p@h/d"))
