"""Measure the server beside its references, in one run, and print the ratios: `python dev.py bench [--json FILE]`.

Rounds are interleaved (A B A B …) and medians compared: machines are shared, so only ratios of one run count. Budgets
stand beside the figures; none of them gates anything.
"""

import argparse
import http.client
import json
import os
import secrets
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BACKEND = HERE.parent / "backend"
PEERS = HERE.parent / ".venv-bench"
USERS = 5000
PASSWORD = "Secret123"
CORES = os.cpu_count() or 1
ABOVE = {
    f"YAOSHI_LIMIT_{name}": "1000000000/hour"
    for name in (
        *("REGISTER_ADDRESS", "LOGIN_PAIR", "LOGIN_ADDRESS", "LOGIN_ACCOUNT"),
        *("RESET_ADDRESS", "RESET_ACCOUNT", "REFRESH_SESSION"),
    )
}
TUTORIAL = ("flask-jwt-extended", "flask-sqlalchemy", "gunicorn")
SEED = """
import sys
from datetime import UTC, datetime
from sqlalchemy import insert
from yaoshi.accounts.models import User
from yaoshi.accounts.queries import Profile
from yaoshi.bootstrap import OPERATOR, build
from yaoshi.settings import load
house = build(load()[0])
house.open()
with house.passwords.hashing() as hashing:
    digest = hashing.hash(sys.argv[2])
with house.db.write(OPERATOR) as work:
    if sys.argv[3]: work.db.execute(insert(User.__table__), [
        {"id": n, "username": f"user{n}", "email": f"user{n}@example.com", "password_hash": digest, "role": "unauth",
         "created_at": work.now, "username_key": f"user{n}", "username_skeleton": f"user{n}",
         "email_key": f"user{n}@example.com"} for n in range(1, int(sys.argv[1]) + 1)])
    for n in range(1, int(sys.argv[1]) + 1):
        profile = Profile(n, f"user{n}", f"user{n}@example.com", None, "unauth", None, work.now)
        tokens = house.sessions.open(work, profile)
        print(tokens.access_token, tokens.refresh_token)
house.close()
"""
BARE_UPDATES = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for pragma in ("journal_mode=WAL", "synchronous=FULL"):
    db.execute(f"PRAGMA {pragma}")
ids = [row[0] for row in db.execute("SELECT id FROM sessions")]
count, began = 0, time.perf_counter()
while time.perf_counter() - began < float(sys.argv[2]):
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE sessions SET counter = counter + 1 WHERE id = ?", (ids[count % len(ids)],))
    db.execute("COMMIT")
    count += 1
print(count / (time.perf_counter() - began))
"""


MAILS = 10_000
BARE_PAGE = "<!doctype html><html lang=en><title>bare</title><label>Name <input name=username></label>"
MESSAGES = """
import sys
from datetime import timedelta
from yaoshi.bootstrap import OPERATOR, build
from yaoshi.outbox.service import Parcel
from yaoshi.settings import load
house = build(load()[0])
with house.db.write(OPERATOR) as work:
    for number in range(int(sys.argv[1])):
        to, until = f"user{number}@example.com", work.now + timedelta(hours=24)
        house.outbox.put(work, Parcel("test", "email", to, "en", {}, until))
house.close()
"""
SINK = """
import sys, time
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
Controller(Sink(), "127.0.0.1", int(sys.argv[1])).start()
while True: time.sleep(60)
"""


@dataclass
class Running:
    """A server process on a port, pinned to cores."""

    process: subprocess.Popen[bytes]
    port: int

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)


def main() -> int:
    """Run every measurement; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, help="also keep the result in this file")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        print("bench needs wrk: python dev.py system-packages --install", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="yaoshi-bench-") as folder:
        place = Path(folder)
        results = []
        for measured in (
            lambda: measure_me(place, arguments),
            lambda: [measure_refresh(place, arguments)],
            lambda: measure_hashing(place, arguments),
            lambda: measure_drain(place, arguments),
            lambda: [measure_pages(place)],
            lambda: [measure_start()],
        ):
            for result in measured():
                print(
                    "{what:<34} {ours:>10} {theirs:>12} {ratio:>7}   must {must}, aim {aim}".format(**result),
                    flush=True,
                )
                results.append(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def measure_me(folder: Path, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Compare `me` with the bare hello and with the tutorial application, one core each."""
    servers, tokens = {}, {}
    for name, extra in (("HS256", {"JWT_SECRET_KEY": secrets.token_urlsafe(48)}), ("ES256", {})):
        environment = installation(folder / name, extra)
        tokens[name] = seed(folder / name, environment)
        servers[name] = start(yaoshi_command, environment, "0")
    threads = str(CORES * 5 + 3)
    servers["hello"] = start(lambda port: [sys.executable, HERE / "serve.py", port, threads], dict(os.environ), "0")
    tokens["hello"] = tokens["HS256"]
    servers["tutorial"], tokens["tutorial"] = start_tutorial(folder)
    rates: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(arguments.rounds):
        for name, server in servers.items():
            rates[name].append(wrk(server.port, tokens[name], arguments.seconds))
    memory = pss(servers["HS256"].process.pid)
    for server in servers.values():
        server.stop()
    middle = {name: statistics.median(values) for name, values in rates.items()}
    spread = {name: f"{min(values):.0f}-{max(values):.0f}" for name, values in rates.items()}
    return [
        row("me HS256 / orjson hello", middle["HS256"], middle["hello"], "≥ 0.25", "0.45", spread["HS256"]),
        row("me ES256 / orjson hello", middle["ES256"], middle["hello"], "≥ 0.18", "-", spread["ES256"]),
        row("me HS256 / tutorial", middle["HS256"], middle["tutorial"], "≥ 3", "5", spread["tutorial"]),
        row("memory after load, MB PSS", memory, 1, "≤ 130", "100", ""),
    ]


def measure_refresh(folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Compare refreshes on one core with a bare loop of one-row updates, as durable, on a like database."""
    environment = installation(folder / "refresh", {"JWT_SECRET_KEY": secrets.token_urlsafe(48)})
    seed(folder / "refresh", environment)
    shutil.copy(folder / "refresh" / "yaoshi.db", folder / "bare.db")
    pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    server = start(yaoshi_command, environment, "0")
    rates: dict[str, list[float]] = {"bare": [], "refresh": []}
    for number in range(arguments.rounds):
        bare_loop = [*pin, sys.executable, "-c", BARE_UPDATES, str(folder / "bare.db"), str(arguments.seconds)]
        rates["bare"].append(float(subprocess.run(bare_loop, check=True, capture_output=True, text=True).stdout))
        if number:
            server.stop()
            seed(folder / "refresh", environment, users=False)
            server = start(yaoshi_command, environment, "0")
        wrk_ = ["taskset", "-c", "1", "wrk", "-c16"] if pin and CORES > 1 else ["wrk", "-c16"]
        tokens = folder / "refresh" / "refresh-tokens"
        rates["refresh"].append(spoken(wrk_, "refresh.lua", server.port, arguments.seconds, tokens))
    server.stop()
    spread = f"{min(rates['refresh']):.0f}-{max(rates['refresh']):.0f}"
    middle = {name: statistics.median(values) for name, values in rates.items()}
    return row("refresh / bare one-row updates", middle["refresh"], middle["bare"], "≥ 0.5", "0.8", spread)


def measure_hashing(folder: Path, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Compare login and register, all cores saturated, with bare Argon2 of the same parameters on as many threads."""
    environment = installation(folder / "hashing", {"JWT_SECRET_KEY": secrets.token_urlsafe(48)})
    seed(folder / "hashing", environment)
    server = start(yaoshi_command, environment, "")
    rates: dict[str, list[float]] = {"bare verify": [], "login": [], "bare hash": [], "register": []}
    for number in range(arguments.rounds):
        for name in rates:
            if name.startswith("bare"):
                rates[name].append(bare(name, arguments.seconds))
            elif name == "login":
                rates[name].append(spoken(["wrk", f"-c{CORES * 4}"], "login.lua", server.port, arguments.seconds))
            else:
                rates[name].append(register(server.port, arguments.seconds, number))
    server.stop()
    middle = {name: statistics.median(values) for name, values in rates.items()}
    spread = {name: f"{min(values):.1f}-{max(values):.1f}" for name, values in rates.items()}
    return [
        row("login / bare verifications", middle["login"], middle["bare verify"], "≥ 0.85", "0.95", spread["login"]),
        row("register / bare hashes", middle["register"], middle["bare hash"], "-", "-", spread["register"]),
    ]


def measure_drain(folder: Path, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Compare the p99 of `me` while a worker drains a long queue of mails with that of the quiet server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        sink_port = probe.getsockname()[1]
    mail = {"YAOSHI_SMTP_URL": f"smtp://127.0.0.1:{sink_port}", "YAOSHI_MAIL_FROM": "bench@example.com"}
    extra = mail | {
        "PUBLIC_URL": "http://localhost",
        "JWT_SECRET_KEY": secrets.token_urlsafe(48),
        "YAOSHI_EMBEDDED_WORKER": "false",
    }
    environment = installation(folder / "drain", extra)
    tokens = seed(folder / "drain", environment)
    sink = subprocess.Popen([sys.executable, "-c", SINK, str(sink_port)])
    server = start(yaoshi_command, environment, "0")
    quiet = statistics.median(p99(server.port, tokens, arguments.seconds) for _ in range(3))
    subprocess.run([sys.executable, "-c", MESSAGES, str(MAILS)], cwd=BACKEND, env=environment, check=True)
    began = time.perf_counter()
    worker = subprocess.Popen(
        [sys.executable, "-m", "yaoshi.cli.main", "worker"], cwd=BACKEND, env=environment, stderr=subprocess.DEVNULL
    )
    busy = statistics.median(p99(server.port, tokens, arguments.seconds) for _ in range(3))
    database = sqlite3.connect(folder / "drain" / "yaoshi.db")
    while database.execute("SELECT 1 FROM messages WHERE state = 'waiting' LIMIT 1").fetchone():
        time.sleep(0.1)
    took = time.perf_counter() - began
    database.close()
    for process in (worker, sink):
        process.terminate()
        process.wait(30)
    server.stop()
    return [
        row("p99 of me, ms: draining / quiet", busy, quiet, "-", "-", ""),
        row(f"mails a second, {MAILS} waiting", MAILS / took, 1, "-", "-", ""),
    ]


def measure_pages(folder: Path) -> dict[str, object]:
    """Compare the time to a usable first page in Chromium with that of a bare page with one field; medians of five."""
    from playwright.sync_api import sync_playwright

    (folder / "bare").mkdir()
    (folder / "bare" / "index.html").write_text(BARE_PAGE, encoding="ascii")
    words = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder / "bare")]
    servers = {
        "pages": start(yaoshi_command, installation(folder / "pages", {}), ""),
        "bare": start(lambda port: [*words, port], dict(os.environ), ""),
    }
    times: dict[str, list[float]] = {name: [] for name in servers}
    with sync_playwright() as browsers:
        chromium = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(6):
            for name, server in servers.items():
                page = chromium.new_context().new_page()
                began = time.perf_counter()
                page.goto(f"http://127.0.0.1:{server.port}/")
                page.locator("[name=username]").fill("a")
                times[name].append((time.perf_counter() - began) * 1000)
                page.close()
        chromium.close()
    for server in servers.values():
        server.stop()
    middle = {name: statistics.median(values[1:]) for name, values in times.items()}
    return row("first page usable, ms / bare page", middle["pages"], middle["bare"], "≤ 3", "-", "")


def measure_start() -> dict[str, object]:
    """Time from the command to the first 200, on a database that is up to date."""
    times = []
    with tempfile.TemporaryDirectory(prefix="yaoshi-bench-") as folder:
        environment = installation(Path(folder) / "start", {})
        for _ in range(5):
            began = time.perf_counter()
            server = start(yaoshi_command, environment, "")
            times.append(time.perf_counter() - began)
            server.stop()
    return row("start to first 200, s", statistics.median(times), 1, "≤ 1.2", "0.7", "")


def row(what: str, ours: float, theirs: float, must: str, aim: str, spread: str) -> dict[str, object]:
    """Return one line of the result."""
    return {
        "what": what,
        "ours": f"{ours:.1f}",
        "theirs": f"{theirs:.1f}" if theirs != 1 else "",
        "ratio": f"{ours / theirs:.2f}",
        "must": must,
        "aim": aim,
        "spread": spread,
    }


def installation(folder: Path, extra: dict[str, str]) -> dict[str, str]:
    """Make an installation and return its environment."""
    folder.mkdir(parents=True)
    environment = dict(os.environ, FLASK_ENV="production", SECRET_KEY=secrets.token_urlsafe(48), **ABOVE, **extra)
    environment |= {"YAOSHI_INSTANCE_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-m", "yaoshi.cli.main", "db", "upgrade"]
    subprocess.run(command, cwd=BACKEND, env=environment, check=True, capture_output=True)
    return environment


def seed(folder: Path, environment: dict[str, str], *, users: bool = True) -> Path:
    """Make users, unless they are there, with one session each; return the file of their access tokens."""
    command = [sys.executable, "-c", SEED, str(USERS), PASSWORD, "users" if users else ""]
    made = subprocess.run(command, cwd=BACKEND, env=environment, check=True, capture_output=True, text=True)
    pairs = [line.split() for line in made.stdout.splitlines()]
    for place, name in enumerate(("tokens", "refresh-tokens")):
        (folder / name).write_text("".join(f"{pair[place]}\n" for pair in pairs), encoding="ascii")
    return folder / "tokens"


def yaoshi_command(port: str) -> list[object]:
    """Return the production start."""
    return [sys.executable, "-m", "yaoshi.cli.main", "serve", "--port", port]


def start(command: Callable[[str], list[object]], environment: dict[str, str], core: str) -> Running:
    """Start a server, pinned to `core` where given, and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pin = ["taskset", "-c", core] if core and shutil.which("taskset") else []
    words = [str(word) for word in (*pin, *command(str(port)))]
    process = subprocess.Popen(words, cwd=BACKEND, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
            return Running(process, port)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def start_tutorial(folder: Path) -> tuple[Running, Path]:
    """Start the tutorial application in an environment of its own, made once."""
    python = PEERS / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(PEERS, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *TUTORIAL], check=True)
    environment = dict(os.environ, TUTORIAL_DATABASE=f"sqlite:///{folder / 'tutorial.db'}", TUTORIAL_USERS=str(USERS))
    made = subprocess.run(
        [python, HERE / "peers" / "tutorial.py"], env=environment, check=True, capture_output=True, text=True
    )
    (folder / "tutorial-tokens").write_text(made.stdout, encoding="ascii")

    def command(port: str) -> list[object]:
        options = ["--worker-class", "gthread", "--threads", "8", "--workers", "1", "--chdir", HERE / "peers"]
        return [python, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{port}", "tutorial:app"]

    return start(command, environment, "0"), folder / "tutorial-tokens"


def wrk(port: int, tokens: Path, seconds: int) -> float:
    """Return requests a second of `me`."""
    pin = ["taskset", "-c", "1"] if CORES > 1 and shutil.which("taskset") else []
    return spoken([*pin, "wrk", "-c16"], "tokens.lua", port, seconds, tokens)


def p99(port: int, tokens: Path, seconds: int) -> float:
    """Return the 99th percentile of the answer times of `me` on four connections, in ms."""
    words = ["wrk", "-c4", "-t1", f"-d{seconds}s", "--latency", "-s", HERE / "tokens.lua", f"http://127.0.0.1:{port}"]
    command = [str(word) for word in (*words, "--", tokens)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = said.split("\n     99%")[1].split()[0]
    unit = next(unit for unit in ("us", "ms", "s") if told.endswith(unit))
    return float(told.removesuffix(unit)) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def spoken(command: list[object], script: str, port: int, seconds: int, *arguments: object) -> float:
    """Return the requests a second that wrk made with `script`; every one of them must have succeeded."""
    words = [*command, "-t1", f"-d{seconds}s", "-s", HERE / script, f"http://127.0.0.1:{port}", "--", *arguments]
    said = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    return float(said.split("Requests/sec:")[1].split()[0])


def bare(name: str, seconds: int) -> float:
    """Return bare Argon2 operations a second on as many threads as cores, at the server's parameters."""
    from argon2 import PasswordHasher

    hasher = PasswordHasher(2, 19456, 1)
    digest = hasher.hash(PASSWORD)
    act = (lambda: hasher.verify(digest, PASSWORD)) if name == "bare verify" else (lambda: hasher.hash(PASSWORD))
    return in_threads(CORES, seconds, lambda thread, count: act())


def register(port: int, seconds: int, round_number: int) -> float:
    """Return registrations a second, with enough callers to keep the hash pool busy."""
    connections = threading.local()

    def call(thread: int, count: int) -> None:
        if not hasattr(connections, "one"):
            connections.one = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        name = f"r{round_number}t{thread}c{count}"
        body = {"username": name, "password": PASSWORD, "email": f"{name}@example.com"}
        connections.one.request("POST", "/api/auth/register", json.dumps(body), {"Content-Type": "application/json"})
        response = connections.one.getresponse()
        response.read()
        if response.status != 201:
            raise RuntimeError(f"register: {response.status}")

    return in_threads(CORES * 4, seconds, call)


def in_threads(threads: int, seconds: int, act: Callable[[int, int], object]) -> float:
    """Return how often a second `act` was done by so many threads."""
    done = [0] * threads
    deadline = time.perf_counter() + seconds

    def work(thread: int) -> None:
        while time.perf_counter() < deadline:
            act(thread, done[thread])
            done[thread] += 1

    began = time.perf_counter()
    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done) / (time.perf_counter() - began)


def pss(pid: int) -> float:
    """Return the memory of a process and its children in MB, shared pages in part; 0 where the system tells none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    own = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return own + sum(pss(int(child)) for child in children)


if __name__ == "__main__":
    sys.exit(main())
