"""The old instructions still work: .env, `python run.py`, `flask run`, `flask db …`, in a copy of the folder."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from servers import BACKEND, PARENT, Postgres, free_port

pytestmark = pytest.mark.attacks
FLASK = [sys.executable, "-m", "flask"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout's `backend` of its own, as somebody has it who followed the old page."""
    copy = tmp_path / "backend"
    shutil.copytree(BACKEND, copy, ignore=shutil.ignore_patterns("tests", "instance", "__pycache__", ".env", ".*cache"))
    return copy


def environment(folder: Path, **extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PARENT)}
    return kept | {"PYTHONPATH": str(folder), "FLASK_APP": "run.py", "PYTHONDONTWRITEBYTECODE": ""} | extra


def flask(folder: Path, *arguments: str, **extra: str) -> str:
    done = subprocess.run(
        [*FLASK, *arguments], cwd=folder, env=environment(folder, **extra), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def served(command: list[str], folder: Path, port: int, **extra: str) -> Iterator[str]:
    process = subprocess.Popen(command, cwd=folder, env=environment(folder, **extra), stdin=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    try:
        while True:
            try:
                requests.get(url, timeout=1)
                break
            except requests.RequestException:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        assert process.wait(30) in (0, -15)


def use(url: str) -> None:
    """The six calls with the old sample bodies, from a page of another origin."""
    headers = {"Origin": "http://localhost:5173"}
    form = {
        "username": "alice",
        "email": "alice@example.com",
        "phone": "",
        "password": "Secret123",
        "confirmPassword": "Secret123",
    }

    def post(door: str, body: dict[str, str], **more: str) -> requests.Response:
        return requests.post(f"{url}/api/auth/{door}", json=body, headers={**headers, **more}, timeout=30)

    assert post("register", form).status_code == 201
    signed_in = post("login", {"username": "alice", "password": "Secret123"})
    assert signed_in.headers["Access-Control-Allow-Origin"] == headers["Origin"]
    bearer = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    assert (
        requests.get(f"{url}/api/auth/me", headers=bearer | headers, timeout=30).json()["user"]["username"] == "alice"
    )
    changed = post("change-password", {"old_password": "Secret123", "new_password": "NewSecret123"}, **bearer)
    assert changed.status_code == 200
    claim = {"identifier": "alice", "channel": "email", "contact": "alice@example.com"}
    code = post("request-reset-code", claim).json()["debug_code"]
    assert post("reset-password", {**claim, "code": code, "new_password": "Reset1234"}).status_code == 200


def test_python_run_py_with_the_example_env(folder: Path) -> None:
    shutil.copy(folder / ".env.example", folder / ".env")
    port = free_port()
    for url in served([sys.executable, "run.py", "--port", str(port)], folder, port):
        use(url)
    assert (folder / "instance" / "yaoshi.db").exists()


def test_flask_run_after_flask_db_upgrade(folder: Path) -> None:
    extra = {"FLASK_ENV": "development"}
    flask(folder, "db", "upgrade", **extra)
    port = free_port()
    for url in served([*FLASK, "run", "--port", str(port)], folder, port, **extra):
        use(url)


def test_flask_run_before_the_upgrade_says_what_to_do(folder: Path) -> None:
    port = free_port()
    for url in served([*FLASK, "run", "--port", str(port)], folder, port, FLASK_ENV="development"):
        answer = requests.get(f"{url}/readyz", timeout=10)
        assert answer.status_code == 503 and answer.json()["code"] == "not_ready"


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_flask_db_commands(folder: Path, database: str) -> None:
    postgres = Postgres() if database == "postgres" else None
    extra = {"FLASK_ENV": "development"}
    if postgres:
        extra["DATABASE_URL"] = postgres.create("legacy").replace("postgresql+psycopg", "postgresql")
    try:
        flask(folder, "db", "upgrade", **extra)
        assert "0005" in flask(folder, "db", "current", **extra)
        assert "0005" in flask(folder, "db", "history", **extra)
        before = sorted(path.name for path in (folder / "yaoshi/migrations/versions").iterdir())
        assert "Nothing differs" in flask(folder, "db", "migrate", "-m", "nothing", **extra)
        assert sorted(path.name for path in (folder / "yaoshi/migrations/versions").iterdir()) == before
    finally:
        if postgres:
            postgres.stop()


def test_an_old_env_file_with_an_old_database_goes_on(folder: Path) -> None:
    (folder / ".env").write_text(
        "FLASK_ENV=development\nSECRET_KEY=dev-secret\nJWT_SECRET_KEY=jwt-secret\nDATABASE_URL=sqlite:///app.db\n"
    )
    with sqlite3.connect(folder / "app.db") as old:
        old.execute(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, username VARCHAR(80) UNIQUE NOT NULL, email VARCHAR(120) UNIQUE NOT NULL,"
            " password_hash VARCHAR(128) NOT NULL, created_at DATETIME)"
        )
    port = free_port()
    for url in served([sys.executable, "run.py", "--port", str(port)], folder, port):
        use(url)
    assert list(folder.glob("app.db.before-yaoshi-*"))
