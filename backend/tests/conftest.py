"""What every test shares: a house of its own on a real database, somebody who calls it, real servers."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from gateways import Mailbox
from sqlalchemy import event, text

from servers import Server
from yaoshi import bootstrap
from yaoshi.app import create_app
from yaoshi.bootstrap import House
from yaoshi.migrations.upgrade import upgrade
from yaoshi.passwords.hashers import Hashers
from yaoshi.settings import Mode, Settings

SECRET = "0f9e8d7c6b5a49382716f5e4d3c2b1a0zyxwvutsrqponm"
VALUES = re.compile(r"'(?:[^']|'')*'|\b[0-9]+(?:\.[0-9]+)?\b|\bNULL\b")
CHEAP = {"argon2_memory_kib": 7168, "argon2_iterations": 1, "hash_workers": 2}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=3, help="How often a crash is tried (20 before a release).")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("YAOSHI_", "VAULT_", "SECRET_KEY", "JWT_SECRET_KEY")) or name in (
            "FLASK_ENV",
            "FLASK_DEBUG",
            "DATABASE_URL",
            "DEBUG",
            "CREDENTIALS_DIRECTORY",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("YAOSHI_INSTANCE_DIR", str(tmp_path))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "yaoshi.db"
    upgrade(f"sqlite:///{path}")
    return path


class MovableClock:
    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, **by: float) -> None:
        self.offset += timedelta(**by)


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any
    raw: bytes = b""

    @property
    def code(self) -> str:
        return str(self.body["code"])

    @property
    def faults(self) -> set[tuple[str, str]]:
        return {(one["field"], one["code"]) for one in self.body.get("errors", [])}


@dataclass
class World:
    """A house, its application and everybody who calls it."""

    house: House
    app: Flask
    clock: MovableClock
    statements: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **more: Any) -> Answer:
        headers = {"Accept-Language": "en", **more.pop("headers", {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            more["json"] = body
        more.setdefault("environ_overrides", {})["REMOTE_ADDR"] = more.pop("address", "127.0.0.1")
        response = self.app.test_client(use_cookies=False).open(path, method=method, headers=headers, **more)
        with response:
            return Answer(response.status_code, response.get_json(silent=True), response.headers, response.data)

    def post(self, door: str, body: Any = None, **more: Any) -> Answer:
        return self.call("POST", f"/api/auth/{door}", body, **more)

    def register(self, username: str = "ana", password: str = "Secret123", **more: Any) -> dict[str, Any]:
        body = {"username": username, "email": f"{username}@example.com", "password": password, **more}
        answer = self.post("register", body)
        assert answer.status == 201, answer.body
        return dict(answer.body["user"])

    def login(self, username: str = "ana", password: str = "Secret123", **more: Any) -> Answer:
        return self.post("login", {"username": username, "password": password}, **more)

    def token(self, username: str = "ana", password: str = "Secret123") -> str:
        return str(self.login(username, password).body["access_token"])

    def me(self, token: str | None, **more: Any) -> Answer:
        return self.call("GET", "/api/auth/me", token=token, **more)

    def ask_code(self, identifier: str = "ana", channel: str = "email", contact: str = "ana@example.com") -> Answer:
        return self.post("request-reset-code", {"identifier": identifier, "channel": channel, "contact": contact})

    def reset(self, code: Any, new_password: str = "Changed123", **more: Any) -> Answer:
        body = {"identifier": "ana", "channel": "email", "contact": "ana@example.com", "code": code}
        return self.post("reset-password", body | {"new_password": new_password} | more)

    def rows(self, query: str) -> list[Any]:
        with self.house.db.read() as db:
            return [tuple(row) for row in db.execute(text(query))]

    def snapshot(self) -> dict[str, list[Any]]:
        tables = ("users", "password_reset_codes", "sessions")
        return {table: self.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables}


@pytest.fixture
def make_world(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(mode: str = "development", **settings: Any) -> World:
        path = tmp_path / f"world{len(worlds)}.db"
        if "database_url" not in settings:
            shutil.copy(template, path)
            settings["database_url"] = f"sqlite:///{path}"
        given = {"mode": Mode(mode), "secret_key": SECRET, **CHEAP, **settings}
        clock = MovableClock()
        house = bootstrap.build(Settings(**given), clock)
        world = World(house, create_app(house), clock)
        for engine in {house.db.reader, house.db.writer}:
            event.listen(engine, "connect", lambda connection, _: traced(connection, world.statements))
        for name in ("hash", "verify"):
            counted(monkeypatch, name, world.hashes)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.house.close()


def traced(connection: Any, statements: list[str]) -> None:
    """Keep every statement as SQLite runs it, values left out."""
    if hasattr(connection, "set_trace_callback"):
        connection.set_trace_callback(lambda text: statements.append(VALUES.sub("?", text)))


def counted(monkeypatch: pytest.MonkeyPatch, name: str, calls: list[str]) -> None:
    original = getattr(Hashers, name)

    def call(self: Hashers, *arguments: Any) -> Any:
        calls.append(name)
        return original(self, *arguments)

    monkeypatch.setattr(Hashers, name, call)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start real servers, each a process of its own; two may share one instance folder."""
    servers: list[Server] = []

    def start(instance: Path | None = None, *, workers: int = 1, **environment: str) -> Server:
        server = Server(instance or tmp_path / "instance", environment, workers=workers)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    yield mailbox
    mailbox.close()
