"""Whether answer times tell who exists: statistics on a real process, with two self-checks that show the test bites.

Its own job (`python dev.py timing`): machines are shared, and the gate of every run is the equal count of statements
and hashes in test_e_enumeration.py. Statistic: Mann-Whitney, as AUC; a class differs when p < 0.001 and AUC is off by
more than 0.05 in two of three repetitions.
"""

import http.client
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import SECRET
from servers import BACKEND, environment_of, free_port, yaoshi

pytestmark = [pytest.mark.timing, pytest.mark.timeout(1200)]
SAMPLES, WARM_UP = 400, 50
PHONE = "13800138000"
TOKEN: dict[str, str] = {}  # of ana, who wishes for new contacts; other doors ignore it
SERVER = """
import sys
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.security import generate_password_hash
from yaoshi.app import create_app
from yaoshi.bootstrap import OPERATOR, build
from yaoshi.accounts.policy import Role
from yaoshi.accounts.service import NewAccount
from yaoshi.passwords.service import Checked, Hashing
from yaoshi.settings import load
house = build(load()[0]); house.open()
with house.passwords.hashing() as hashing:
    digest = hashing.hash("Secret123")
with house.db.write(OPERATOR) as work:
    for name in ("ana", "ben", "dis"):
        phone = {"ana": "13800138000", "dis": "13700137000"}.get(name)
        profile = house.accounts.open(work, NewAccount(name, name + "@example.com", phone, Role.UNAUTH), digest)
        for channel in ("email", "phone"):
            house.accounts.prove(work, profile.id, channel)
    house.accounts.disable(work, profile.id)
if sys.argv[2] == "leaky":
    honest = Hashing.check
    Hashing.check = lambda self, stored, plain, name: honest(self, stored, plain, name) if stored else Checked(False, None)
class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    def log(self, *arguments): pass
sys.stdout = open("/dev/null", "w")
make_server("127.0.0.1", int(sys.argv[1]), create_app(house), request_handler=Quiet).serve_forever()
"""


@pytest.fixture(params=["honest", "leaky"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, http.client.HTTPConnection]]:
    above = {
        f"YAOSHI_LIMIT_{name}": "10000000/hour"
        for name in (
            *("LOGIN_PAIR", "LOGIN_ADDRESS", "LOGIN_ACCOUNT", "RESET_ADDRESS", "RESET_ACCOUNT"),
            *("CONTACT_ACCOUNT", "CONTACT_TARGET"),
        )
    }
    extra = {
        "FLASK_ENV": "production",
        "SECRET_KEY": SECRET,
        "YAOSHI_RESEND_SECONDS": "0",
        "YAOSHI_SIGN_IN_BY_CODE": "true",
        "YAOSHI_ARGON2_MEMORY_KIB": "7168",
    }
    extra |= above
    assert yaoshi(tmp_path, "db", "upgrade", **extra).returncode == 0
    port = free_port()
    command = [sys.executable, "-c", SERVER, str(port), request.param]
    process = subprocess.Popen(command, cwd=BACKEND, env=environment_of(tmp_path, extra))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    deadline = time.monotonic() + 30
    while True:
        try:
            connection.connect()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
    yield request.param, connection
    connection.close()
    process.terminate()
    process.wait()


def timed(connection: http.client.HTTPConnection, door: str, body: dict[str, str]) -> float:
    raw, headers = json.dumps(body), {"Content-Type": "application/json"} | TOKEN
    began = time.perf_counter_ns()
    connection.request("PUT" if door.startswith("contacts") else "POST", f"/api/auth/{door}", raw, headers)
    connection.getresponse().read()
    return (time.perf_counter_ns() - began) / 1e6


def differs(connection: http.client.HTTPConnection, door: str, one: dict[str, str], other: dict[str, str]) -> bool:
    """Return whether the two classes can be told apart by time, in two of three repetitions."""
    told = 0
    for repetition in range(3):
        order = [0, 1] * SAMPLES
        random.Random(repetition).shuffle(order)
        for _ in range(WARM_UP):
            timed(connection, door, one)
        times: tuple[list[float], list[float]] = ([], [])
        for which in order:
            times[which].append(timed(connection, door, (one, other)[which]))
        auc, p = mann_whitney(*times)
        told += p < 0.001 and abs(auc - 0.5) > 0.05
    return told >= 2


def mann_whitney(one: list[float], other: list[float]) -> tuple[float, float]:
    """Return (AUC, two-sided p) by the normal approximation; ties are too rare at nanoseconds to matter."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return u / (n * m), math.erfc(abs(z) / math.sqrt(2))


def login(name: str, password: str = "Wrong1234") -> dict[str, str]:
    return {"username": name, "password": password}


def claim(name: str, contact: str = "", **more: str) -> dict[str, str]:
    return {"identifier": name, "channel": "email", "contact": contact or f"{name}@example.com", **more}


def by_phone(name: str, contact: str) -> dict[str, str]:
    return claim(name, contact) | {"channel": "phone"}


def sign_in(name: str, channel: str) -> dict[str, str]:
    return {"identifier": name, "channel": channel}


def wish(value: str) -> dict[str, str]:
    return {"value": value, "password": "Secret123"}


CODE = {"code": "000000", "new_password": "Changed123"}
PAIRS = {
    "E02-login-unknown": ("login", login("ana"), login("ghost")),
    "E02-login-disabled": ("login", login("ana"), login("dis", "Secret123")),
    "E04-ask-unknown": ("request-reset-code", claim("ana"), claim("ghost")),
    "E04-ask-wrong-contact": ("request-reset-code", claim("ana"), claim("ana", "eve@example.com")),
    "E04-ask-disabled": ("request-reset-code", claim("ana"), claim("dis")),
    "E04-ask-phone-unknown": ("request-reset-code", by_phone("ana", PHONE), by_phone("ghost", "13900139000")),
    "E04-ask-phone-unbound": ("request-reset-code", by_phone("ana", PHONE), by_phone("ben", PHONE)),
    "E04-sign-in-unknown": ("login/code", sign_in("ana", "email"), sign_in("ghost", "email")),
    "E04-sign-in-unbound": ("login/code", sign_in("ana", "phone"), sign_in("ben", "phone")),
    "E13-wish-taken": ("contacts/email", wish("free@example.com"), wish("ben@example.com")),
    "E13-wish-phone-taken": ("contacts/phone", wish("13900139000"), wish("13700137000")),
    "C25-reset-unknown": ("reset-password", claim("ana", **CODE), claim("ghost", **CODE)),
}


def test_times_tell_nothing_and_would_tell_of_a_leak(server: tuple[str, http.client.HTTPConnection]) -> None:
    build, connection = server
    raw = json.dumps(login("ana", "Secret123"))
    connection.request("POST", "/api/auth/login", raw, {"Content-Type": "application/json"})
    TOKEN["Authorization"] = f"Bearer {json.loads(connection.getresponse().read())['access_token']}"
    if build == "leaky":
        assert differs(connection, *PAIRS["E02-login-unknown"])
        return
    assert not differs(connection, "login", login("ana"), login("ana"))
    for name, (door, one, other) in PAIRS.items():
        assert not differs(connection, door, one, other), name
