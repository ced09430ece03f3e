"""Sessions under attack on real servers: races, lost answers, crashes, rotation under load, two tabs of a real browser."""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import sync_playwright
from sqlalchemy import create_engine, text
from test_attacks import FAST, LIMITS_ABOVE, PRODUCTION, TOGETHER, Start, at_once
from werkzeug.serving import make_server

from conftest import World
from servers import Postgres, Server, certificate, free_port, yaoshi

pytestmark = pytest.mark.attacks
ENVIRONMENT = {**LIMITS_ABOVE, **FAST, **PRODUCTION, "YAOSHI_LIMIT_REFRESH_SESSION": "1000000/hour"}
ROUNDS, TABS = 200, 20


ON_POSTGRES = [pytest.param(name, marks=pytest.mark.postgres) for name in ("one on postgres", "two on postgres")]


@pytest.fixture(scope="module", params=["one", "two", *ON_POSTGRES])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, ...]]:
    """One process of four threads, or two that share a database."""
    alone, postgres = request.param.startswith("one"), Postgres() if "postgres" in request.param else None
    environment = ENVIRONMENT | ({} if alone else TOGETHER)
    if postgres:
        environment["DATABASE_URL"] = postgres.create("yaoshi")
    instance = tmp_path_factory.mktemp("sessions")
    servers = tuple(Server(instance, environment, threads=4) for _ in range(1 if alone else 2))
    yield servers
    for server in servers:
        server.stop()
    if postgres:
        postgres.stop()


def rows(server: Server, query: str) -> list[Any]:
    url = server.extra.get("DATABASE_URL", f"sqlite:///{server.instance / 'yaoshi.db'}")
    engine = create_engine(url)
    with engine.connect() as db:
        found = [tuple(row) for row in db.execute(text(query))]
    engine.dispose()
    return found


def signed_in(server: Server, name: str) -> dict[str, Any]:
    server.register(name)
    answer = server.login(name)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_f02_twenty_tabs_get_the_same_successor_200_rounds_long(site: tuple[Server, ...]) -> None:
    held = signed_in(site[0], "tabs")["refresh_token"]
    session = held.split(".")[1]
    sessions = threading.local()

    def refresh(number: int) -> requests.Response:
        if not hasattr(sessions, "own"):
            sessions.own = requests.Session()
        url = f"{site[number % len(site)].url}/api/auth/refresh"
        return sessions.own.post(url, json={"refresh_token": held}, timeout=30)

    with ThreadPoolExecutor(TABS) as tabs:
        for count in range(1, ROUNDS + 1):
            answers = list(tabs.map(refresh, range(TABS)))
            assert {answer.status_code for answer in answers} == {200}, [
                a.text for a in answers if a.status_code != 200
            ]
            (held,) = {answer.json()["refresh_token"] for answer in answers}
            assert held.split(".")[1:3] == [session, str(count)]
    assert rows(site[0], f"SELECT counter FROM sessions WHERE id = '{session}'") == [(ROUNDS,)]


@pytest.mark.parametrize("where", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_replay_after_the_grace_ends_exactly_that_session(
    tmp_path: Path, start_server: Start, where: str, request: pytest.FixtureRequest
) -> None:
    environment = ENVIRONMENT | TOGETHER | {"YAOSHI_REFRESH_GRACE_SECONDS": "1"}
    postgres = Postgres() if where == "postgres" else None
    if postgres:
        request.addfinalizer(postgres.stop)
        environment["DATABASE_URL"] = postgres.create("yaoshi")
    servers = [start_server(tmp_path, **environment) for _ in range(2)]
    mine, other = signed_in(servers[0], "ana"), signed_in(servers[0], "ana")
    servers[0].post("refresh", {"refresh_token": mine["refresh_token"]})
    time.sleep(1.1)
    body = {"refresh_token": mine["refresh_token"]}
    for replayed in at_once([lambda at=server: at.post("refresh", body) for server in servers * 10]):  # type: ignore[misc]
        assert replayed.status_code == 401 and replayed.json()["code"] == "session_ended"
    told = "FROM audit_entries WHERE name = 'session.refresh_replayed'"
    assert rows(servers[0], f"SELECT count(*) {told}") == [(1,)], "its owner hears of it once"
    nul = servers[0].say("DELETE", "/api/auth/sessions/%00", headers=bearer(other["access_token"]))
    assert nul.status_code == 404
    for server in servers:
        assert server.say("GET", "/api/auth/me", headers=bearer(mine["access_token"])).status_code == 401
        assert server.say("GET", "/api/auth/me", headers=bearer(other["access_token"])).status_code == 200


def test_f14_ten_thousand_invented_tokens_write_nothing(site: tuple[Server, ...]) -> None:
    signed_in(site[0], "invented")
    counts = [f"SELECT count(*) FROM {table}" for table in ("audit_entries", "messages", "sessions", "limit_counters")]
    before = [rows(site[0], count) for count in counts]
    each = 10_000 // 8

    def invent(number: int) -> set[int]:
        drawn, own = random.Random(number), requests.Session()
        told = set()
        for _ in range(each):
            token = f"v1.{uuid.UUID(int=drawn.getrandbits(128))}.0.{drawn.getrandbits(256):064x}"
            told.add(own.post(f"{site[0].url}/api/auth/refresh", json={"refresh_token": token}, timeout=30).status_code)
        return told

    with ThreadPoolExecutor(8) as callers:
        assert set().union(*callers.map(invent, range(8))) == {401}
    assert [rows(site[0], count) for count in counts] == before


@pytest.mark.parametrize("end", ["logout", "logout-all", "change-password", "disable"])
def test_an_end_holds_for_the_next_request_on_every_process(site: tuple[Server, ...], end: str) -> None:
    name = f"ham{end}"
    token = signed_in(site[0], name)["access_token"]
    ended = threading.Event()
    begun_after: list[int] = []
    served: list[int] = []

    def hammer(number: int) -> None:
        with requests.Session() as own:
            over = 0
            while over < 20:
                late = ended.is_set()
                status = own.get(
                    f"{site[number % len(site)].url}/api/auth/me", headers=bearer(token), timeout=30
                ).status_code
                (begun_after if late else served).append(status)
                over += late

    with ThreadPoolExecutor(8) as connections:
        running = [connections.submit(hammer, number) for number in range(8)]
        time.sleep(0.5)
        if end == "disable":
            extra = {k: v for k, v in site[0].extra.items()}
            assert yaoshi(site[0].instance, "accounts", "disable", name, **extra).returncode == 0
        else:
            body = {"old_password": "Secret123", "new_password": "Changed123"} if end == "change-password" else None
            assert site[-1].say("POST", f"/api/auth/{end}", json=body, headers=bearer(token)).status_code == 200
        ended.set()
        for one in running:
            one.result()
    assert set(begun_after) == {401} and 200 in served


def test_f13_x05_sign_out_and_disable_win_against_parallel_refreshes(site: tuple[Server, ...]) -> None:
    for number in range(500):
        held = signed_in(site[0], "racer") if number == 0 else site[0].login("racer").json()
        calls: list[Callable[[], requests.Response]] = [
            lambda server=server, held=held: server.post("refresh", {"refresh_token": held["refresh_token"]})  # type: ignore[misc]
            for server in (site * 3)[:3]
        ]
        calls.append(lambda held=held: site[-1].post("logout", {"refresh_token": held["refresh_token"]}))  # type: ignore[misc]
        random.Random(number).shuffle(calls)
        for answer in at_once(calls):
            assert answer.status_code in (200, 401)
            if "access_token" in answer.json():
                for token in (answer.json()["access_token"], held["access_token"]):
                    assert site[0].say("GET", "/api/auth/me", headers=bearer(token)).status_code == 401
    living = (
        "SELECT count(*) FROM sessions JOIN users ON users.id = user_id WHERE username = 'racer' AND ended_at IS NULL"
    )
    assert rows(site[0], living) == [(0,)]


def test_rel03_a_client_that_lost_its_answer_goes_on_after_a_crash(
    tmp_path: Path, start_server: Start, request: pytest.FixtureRequest
) -> None:
    server = start_server(tmp_path, **ENVIRONMENT)
    chains = [signed_in(server, f"chain{number}")["refresh_token"] for number in range(6)]
    for _ in range(request.config.getoption("--rounds")):
        stop = threading.Event()

        def run(number: int, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                try:
                    answer = server.post("refresh", {"refresh_token": chains[number]}, timeout=5)
                except requests.RequestException:
                    continue
                assert answer.status_code == 200, answer.text
                chains[number] = answer.json()["refresh_token"]

        with ThreadPoolExecutor(6) as clients:
            running = [clients.submit(run, number) for number in range(6)]
            time.sleep(random.uniform(0.3, 1.0))
            server.kill()
            stop.set()
            for one in running:
                one.result()
        server.start()
        for number, token in enumerate(chains):
            answer = server.post("refresh", {"refresh_token": token})
            assert answer.status_code == 200, (number, answer.text)
            chains[number] = answer.json()["refresh_token"]


@pytest.mark.parametrize("second", ["memory", "database"])
def test_a_second_process_that_would_count_apart_does_not_start(
    tmp_path: Path, start_server: Start, second: str
) -> None:
    server = start_server(tmp_path, **FAST, **PRODUCTION)
    refused = yaoshi(tmp_path, "serve", "--port", str(free_port()), **FAST, **PRODUCTION, YAOSHI_COUNTERS=second)
    assert refused.returncode == 2 and "YAOSHI_COUNTERS=database" in refused.stderr
    server.kill()
    server.start()
    assert server.register("ana").status_code == 201, "kill -9 leaves no lock behind"


def test_workers_of_one_server_count_together(tmp_path: Path, start_server: Start) -> None:
    refused = yaoshi(tmp_path, "serve", "--workers", "2", **FAST, **PRODUCTION, YAOSHI_COUNTERS="memory")
    assert refused.returncode == 2 and "YAOSHI_COUNTERS" in refused.stderr
    server = start_server(tmp_path, **FAST, **PRODUCTION, workers=2)
    server.register("ana")
    answers = at_once([lambda: server.login("ana", "Wrong1234") for _ in range(30)])
    counted = Counter(answer.status_code for answer in answers)
    assert counted[401] == 5 and counted[401] + counted[429] + counted[503] == 30, counted
    assert server.login("ana", "Wrong1234").status_code == 429
    names = rows(server, "SELECT name FROM limit_counters")
    assert names and not any("ana" in name for (name,) in names)


PAGE = """<!doctype html><title>two tabs</title><script>
let token = null
const call = (door, more) => fetch('/api/auth/' + door, {method: 'POST', ...more,
  headers: {'X-Yaoshi-Session': 'cookie', 'Content-Type': 'application/json'}})
const me = () => fetch('/api/auth/me', {headers: {Authorization: 'Bearer ' + token}}).then(r => r.status)
const login = () => call('login', {body: JSON.stringify({username: 'ana', password: 'Secret123'})})
  .then(r => r.json()).then(b => { token = b.access_token; return 'refresh_token' in b })
const renew = async () => {
  const answer = await call('refresh')
  if (answer.status === 200) token = (await answer.json()).access_token
  return answer.status
}
const work = async () => [await me(), await renew(), await me()]
</script>"""


def test_two_tabs_whose_tokens_expire_together_stay_signed_in(make_world: Callable[..., World], tmp_path: Path) -> None:
    server = make_server(
        "127.0.0.1", 0, lambda environ, start: application(environ, start), True, ssl_context=certificate(tmp_path)
    )
    origin = f"https://127.0.0.1:{server.server_port}"
    world = make_world("production", public_url=origin, limit_refresh_session="1000/minute")
    world.register()

    def application(environ: Any, start: Any) -> Any:
        if environ["PATH_INFO"] == "/page":
            start("200 OK", [("Content-Type", "text/html")])
            return [PAGE.encode()]
        return world.app(environ, start)

    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as browsers:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        context = chromium.new_context(ignore_https_errors=True)
        tabs = [context.new_page() for _ in range(2)]
        for tab in tabs:
            tab.goto(f"{origin}/page")
        assert tabs[0].evaluate("login()") is False, "no script sees the refresh token"
        assert tabs[1].evaluate("renew()") == 200 and tabs[0].evaluate("document.cookie") == ""
        for number in range(50):
            world.clock.advance(minutes=16)
            for tab in tabs:
                tab.evaluate("() => { window.done = work() }")  # a promise that is returned would be waited for
            assert [tab.evaluate("window.done") for tab in tabs] == [[401, 200, 200]] * 2, number
        chromium.close()
    server.shutdown()
    server.server_close()
    ((counter,),) = world.rows("SELECT counter FROM sessions WHERE ended_at IS NULL")
    assert counter < 95, "most often both tabs showed the same token: else nothing was tried"
