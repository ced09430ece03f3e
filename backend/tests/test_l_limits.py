"""Attack list, letter L: limits, addresses behind proxies, overload of the hash pool."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from conftest import World
from yaoshi.core.db import is_writing
from yaoshi.core.errors import Overloaded
from yaoshi.core.random import token
from yaoshi.passwords.pool import HashPool

PROXY = {"trusted_proxies": "127.0.0.1,10.0.0.0/8"}


@pytest.fixture
def production(make_world: Callable[..., World]) -> World:
    world = make_world("production")
    body = {"username": "ana", "email": "ana@example.com", "password": "Secret123"}
    assert world.post("register", body, address="192.0.2.200").status == 201
    return world


def test_l01_the_sixth_failure_is_limited_and_the_window_ends(
    production: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [production.login(password="Wrong1234").status for _ in range(5)] == [401] * 5
    sixth = production.login(password="Wrong1234")
    assert (sixth.status, sixth.code) == (429, "too_many_attempts") and 0 < int(sixth.headers["Retry-After"]) <= 900
    assert production.login().status == 429
    assert production.login(address="192.0.2.9").status == 200
    now = __import__("time").time
    monkeypatch.setattr("limits.storage.memory.time.time", lambda: now() + 901)
    assert production.login().status == 200


def test_l01_every_spelling_of_a_name_is_counted_together(production: World) -> None:
    spellings = ["ana", "ANA", " ana ", "ａna", "Ana"]
    assert [production.login(name, "Wrong1234").status for name in spellings] == [401] * 5
    assert production.login().status == 429


def test_l02_one_address_has_fifty_failures_an_hour(production: World) -> None:
    statuses = [production.login(f"name{number}", "Wrong1234").status for number in range(52)]
    assert statuses == [401] * 50 + [429] * 2


def test_an_account_has_a_hundred_failures_from_all_addresses(production: World) -> None:
    statuses = [
        production.login(password="Wrong1234", address=f"198.51.100.{number // 5}").status for number in range(102)
    ]
    assert statuses == [401] * 100 + [429] * 2


def test_a_success_returns_only_its_own_count(production: World) -> None:
    for _ in range(4):
        assert production.login(password="Wrong1234").status == 401
        assert production.login().status == 200
    assert production.login(password="Wrong1234").status == 401
    assert production.login().status == 429


def test_wrong_old_passwords_spend_the_accounts_count(make_world: Callable[..., World]) -> None:
    world = make_world("production", limit_login_account="3/hour")
    world.register()
    bearer = world.token()
    body = {"old_password": "Wrong1234", "new_password": "Changed123"}
    assert [world.post("change-password", body, token=bearer).status for _ in range(4)] == [400, 400, 400, 429]
    assert world.login(address="192.0.2.7").status == 429


def test_registrations_of_one_address_are_limited(production: World) -> None:
    def register(number: int) -> int:
        body = {"username": f"user{number}", "email": f"user{number}@example.com", "password": "Secret123"}
        return production.post("register", body).status

    assert [register(number) for number in range(21)] == [201] * 20 + [429]
    assert production.post("register", {"username": "x"}, address="192.0.2.9").status == 400


def test_asking_for_codes_too_often_makes_none_and_says_nothing(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.register()
    shown = ["debug_code" in world.ask_code().body for _ in range(7)]
    assert shown == [True] * 5 + [False] * 2
    assert world.ask_code().status == 200


def test_development_relaxes_addresses_but_no_account(make_world: Callable[..., World]) -> None:
    world = make_world(limit_register_address="2/hour", limit_login_address="2/hour")
    for number in range(5):
        world.register(f"user{number}")
    assert [world.login(f"user{number}", "Wrong1234").status for number in range(5)] == [401] * 5
    assert [world.login("user0", "Wrong1234").status for _ in range(5)] == [401] * 4 + [429]


def spray(
    world: World, headers: Callable[[int], dict[str, str]], address: str = "127.0.0.1", times: int = 60
) -> list[int]:
    """Fail on ever new names, so that only the address's count (50) can stop it."""
    return [
        world.login(f"n{number}", "Wrong1234", headers=headers(number), address=address).status
        for number in range(times)
    ]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"])
def test_l04_an_untrusted_peer_can_not_choose_its_address(make_world: Callable[..., World], header: str) -> None:
    value = (lambda n: f"for=203.0.113.{n}") if header == "Forwarded" else (lambda n: f"203.0.113.{n}")
    assert spray(make_world("production"), lambda n: {header: value(n)}, address="192.0.2.1").count(429) == 10


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("spoofed-left", lambda n: {"X-Forwarded-For": f"203.0.113.{n}, 192.0.2.1"}),
        ("spoofed-forwarded", lambda n: {"Forwarded": f"for=203.0.113.{n}, for=192.0.2.1"}),
        ("through-two-proxies", lambda n: {"X-Forwarded-For": f"203.0.113.{n}, 192.0.2.1, 10.1.2.3"}),
        ("the-other-header", lambda n: {"X-Forwarded-For": "192.0.2.1", "Forwarded": f"for=203.0.113.{n}"}),
        ("with-port", lambda n: {"X-Forwarded-For": f"192.0.2.1:{1000 + n}"}),
        ("quoted", lambda n: {"Forwarded": f'for="192.0.2.1:{1000 + n}";proto=https'}),
        ("L05-text", lambda n: {"X-Forwarded-For": f"a{n}"}),
        ("L05-empty", lambda n: {"X-Forwarded-For": ""}),
        ("L05-unknown", lambda n: {"X-Forwarded-For": "unknown"}),
        ("L05-obfuscated", lambda n: {"Forwarded": f"for=_hidden{n}"}),
        ("L05-port", lambda n: {"X-Forwarded-For": "127.0.0.1:80"}),
        ("L05-bracket", lambda n: {"X-Forwarded-For": "[::1]"}),
        ("L05-long", lambda n: {"X-Forwarded-For": f"{n}" * 2000}),
        ("L05-hundred-hops", lambda n: {"X-Forwarded-For": f"203.0.113.{n}," + "10.0.0.1," * 100 + "10.0.0.1"}),
        ("L06-one-64", lambda n: {"X-Forwarded-For": f"2001:db8:1:2::{n:x}"}),
    ],
)
def test_l04_l05_l06_behind_a_trusted_proxy_one_caller_is_one_bucket(
    make_world: Callable[..., World], name: str, headers: Any
) -> None:
    assert spray(make_world("production", **PROXY), headers).count(429) == 10


def test_l04_behind_a_trusted_proxy_callers_are_told_apart(make_world: Callable[..., World]) -> None:
    world = make_world("production", **PROXY)
    assert spray(world, lambda n: {"X-Forwarded-For": f"203.0.113.{n}"}).count(401) == 60
    assert spray(world, lambda n: {"Forwarded": f'for="[2001:db8:{n:x}::1]"'}).count(401) == 60


def test_l06_a_mapped_address_is_the_address(make_world: Callable[..., World]) -> None:
    world = make_world("production")
    assert spray(world, lambda n: {}, "::ffff:192.0.2.1", 50).count(401) == 50
    assert world.login("fresh", "Wrong1234", address="192.0.2.1").status == 429


def test_a_proxy_that_nobody_named_shares_one_larger_bucket(make_world: Callable[..., World]) -> None:
    world = make_world("production", limit_login_address="3/hour")
    assert spray(world, lambda n: {"X-Forwarded-For": f"203.0.113.{n}"}, times=32) == [401] * 30 + [429] * 2
    assert world.login("other", "Wrong1234").status == 401


def test_l14_without_an_address_the_limit_stays(make_world: Callable[..., World]) -> None:
    assert spray(make_world("production"), lambda n: {}, "").count(429) == 10


def test_n09_counter_keys_can_not_collide_by_text(production: World) -> None:
    for name in ("a b", "a\r\nc", "a*", "a:1", "a/1", "a", "a 192.0.2.77"):
        for _ in range(5):
            assert production.login(name, "Wrong1234", address="192.0.2.77").status == 401


def test_l09_the_pool_bounds_hashes_and_sheds_the_rest() -> None:
    pool, gate, running, peak = HashPool(2), threading.Event(), [0], [0]
    lock = threading.Lock()

    def slow() -> None:
        with lock:
            running[0] += 1
            peak[0] = max(peak[0], running[0])
        started.release()
        gate.wait(10)
        with lock:
            running[0] -= 1

    def work() -> None:
        with pool.slot() as run:
            taken.release()
            run(slow)

    taken, started = threading.Semaphore(0), threading.Semaphore(0)
    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
        taken.acquire()
    assert started.acquire(timeout=10) and started.acquire(timeout=10)
    with pytest.raises(Overloaded) as shed, pool.slot():
        raise AssertionError("an eleventh place")
    assert 1 <= (shed.value.retry_after or 0) <= 5
    gate.set()
    for thread in threads:
        thread.join()
    assert peak[0] == 2
    with pool.slot() as run:
        assert run(len, token()) == 43
    pool.close()


def test_overload_is_a_503_that_costs_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register()

    def full(*_: Any) -> Any:
        raise Overloaded(retry_after=3)

    monkeypatch.setattr(world.house.passwords._pool, "slot", full)
    answers = [world.login() for _ in range(8)]
    assert {(answer.status, answer.headers["Retry-After"]) for answer in answers} == {(503, "3")}
    monkeypatch.undo()
    assert world.login().status == 200


def test_hashing_inside_a_write_is_refused(world: World) -> None:
    from yaoshi.bootstrap import OPERATOR

    with world.house.db.write(OPERATOR), world.house.passwords.hashing() as hashing:
        assert is_writing()
        with pytest.raises(RuntimeError, match="inside a write"):
            hashing.hash("Secret123")
