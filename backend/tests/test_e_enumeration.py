"""Attack list, letter E: nothing tells who exists. Equal answers, equal statements, equal hashes."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.security import generate_password_hash

from conftest import Answer, World
from yaoshi.bootstrap import OPERATOR

CONTACTS = {"email": "ana@example.com", "phone": "13800138000"}
RESET_CLASSES: dict[str, dict[str, str]] = {
    "unknown": {"identifier": "ghost"},
    "known": {"identifier": "ana"},
    "known-by-phone": {"identifier": "13800138000"},
    "known-by-email": {"identifier": "ana@example.com"},
    "wrong-contact": {"identifier": "ana", "contact": "ben@example.com"},
    "channel-not-bound": {"identifier": "ben", "channel": "phone", "contact": "13900139000"},
    "disabled": {"identifier": "dis", "contact": "dis@example.com"},
    "throttled": {"identifier": "thr", "contact": "thr@example.com"},
    "powerless-contact": {"identifier": "low", "channel": "phone", "contact": "13700137000"},
    "not-even-a-contact": {"identifier": "ana", "contact": "???"},
}
LOGIN_CLASSES = {
    "E01-unknown": ("ghost", "Wrong1234"),
    "E01-wrong-password": ("ana", "Wrong1234"),
    "E01-disabled-wrong": ("dis", "Wrong1234"),
    "E01-disabled-right": ("dis", "Secret123"),
    "E01-no-usable-hash": ("nohash", "Secret123"),
    "E09-email": ("ana@example.com", "Wrong1234"),
    "E09-phone": ("13800138000", "Wrong1234"),
    "E09-unknown-email": ("ghost@example.com", "Wrong1234"),
    "E09-unknown-phone": ("13700137000", "Wrong1234"),
}


@pytest.fixture(params=[{}, {"sign_in_by_code": True, "contact_verification": "required"}], ids=["plain", "all-on"])
def peopled(make_world: Callable[..., World], request: pytest.FixtureRequest) -> World:
    above = {"limit_reset_address": "1000/hour", "limit_register_address": "100/hour", "resend_seconds": 0}
    world = make_world("production", **above, **request.param)
    world.register("ana", phone="13800138000")
    for name in ("ben", "dis", "thr", "nohash"):
        world.register(name)
    world.register("low", phone="13700137000")
    with world.house.db.write(OPERATOR) as work:
        world.house.accounts.disable(work, 3)
        world.house.accounts.prove(work, 6, "email", alone=True)
        world.house.passwords.replace(work, 5, "pbkdf2:sha256:260000$cut")
    for _ in range(5):
        ask(world, "throttled")
    return world


def ask(world: World, name: str) -> Answer:
    claim = {"identifier": "ana", "channel": "email"} | RESET_CLASSES[name]
    return world.post("request-reset-code", {"contact": CONTACTS[claim["channel"]], **claim})


def try_code(world: World, name: str, code: str = "000000") -> Answer:
    claim = {"identifier": "ana", "channel": "email"} | RESET_CLASSES[name]
    body = {"contact": CONTACTS[claim["channel"]], "code": code, "new_password": "Changed123", **claim}
    return world.post("reset-password", body)


def seen(answer: Answer) -> tuple[Any, ...]:
    """What a stranger can compare: everything but the request's own id."""
    raw = re.sub(rb'"request_id":"[^"]+"', b"", answer.raw)
    return answer.status, raw, [name for name, _ in answer.headers]


def assert_same(one: Any, other: Any, name: str) -> None:
    for mine, theirs, what in zip(one, other, ("statements", "hashes", "answer"), strict=True):
        assert mine == theirs, (name, what)


def cost(world: World, act: Callable[[], Answer]) -> tuple[list[str], list[str], tuple[Any, ...]]:
    world.statements.clear()
    world.hashes.clear()
    answer = act()
    assert "BEGIN IMMEDIATE" in world.statements
    return list(world.statements), list(world.hashes), seen(answer)


def test_e03_e13_asking_for_a_code_tells_nothing(peopled: World) -> None:
    costs = {name: cost(peopled, lambda name=name: ask(peopled, name)) for name in RESET_CLASSES}  # type: ignore[misc]
    assert costs["known"][2][0] == 200
    for name, one in costs.items():
        assert_same(one, costs["known"], name)


def test_e05_e13_a_failing_reset_tells_nothing(peopled: World) -> None:
    for name in ("known", "disabled", "unknown"):
        ask(peopled, name)
    costs = {name: cost(peopled, lambda name=name: try_code(peopled, name)) for name in RESET_CLASSES}  # type: ignore[misc]
    for _ in range(5):
        try_code(peopled, "known")
    costs["dead-code"] = cost(peopled, lambda: try_code(peopled, "known"))
    peopled.clock.advance(minutes=11)
    costs["expired"] = cost(peopled, lambda: try_code(peopled, "known"))
    assert costs["unknown"][2][0] == 400
    for name, one in costs.items():
        assert_same(one, costs["unknown"], name)


def test_e01_e09_e13_a_failing_login_tells_nothing(peopled: World) -> None:
    costs = {name: cost(peopled, lambda who=who: peopled.login(*who)) for name, who in LOGIN_CLASSES.items()}  # type: ignore[misc]
    assert costs["E01-unknown"][2][0] == 401 and costs["E01-unknown"][1] == ["verify"]
    for name, one in costs.items():
        assert_same(one, costs["E01-unknown"], name)


def test_e06_limits_count_invented_names_alike(peopled: World) -> None:
    def sequence(name: str, address: str) -> list[tuple[int, str | None]]:
        answers = [peopled.login(name, "Wrong1234", address=address) for _ in range(7)]
        return [(answer.status, answer.headers.get("Retry-After")) for answer in answers]

    assert sequence("ana", "192.0.2.1") == sequence("ghost", "192.0.2.2")


def test_e02_decoys_are_drawn_from_the_mix_of_schemes_in_use(peopled: World) -> None:
    legacy = generate_password_hash("Secret123", "pbkdf2:sha256:1000")
    with peopled.house.db.write(OPERATOR) as work:
        for user_id in (1, 2):
            peopled.house.passwords.replace(work, user_id, legacy)
    peopled.house.passwords.learn_mix()
    drawn = [peopled.house.passwords._decoy(f"name{number}") for number in range(300)]
    share = sum(decoy.startswith("pbkdf2:sha256:1000$") for decoy in drawn) / 300
    assert 0.25 < share < 0.55  # two of the five usable hashes
    assert len({peopled.house.passwords._decoy("ghost") for _ in range(10)}) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("OPTIONS", "/api/auth/login"), ("HEAD", "/api/auth/me"), ("GET", "/api/auth/login"), ("GET", "/api/auth/users")],
)
def test_e10_other_methods_and_paths_know_nobody(peopled: World, method: str, path: str) -> None:
    assert "ana" not in str(seen(peopled.call(method, path, headers={"Origin": "https://example.com"})))


def test_e08_no_provider_is_asked_on_a_request(peopled: World) -> None:
    assert not [statement for statement in cost(peopled, lambda: ask(peopled, "known"))[0] if "http" in statement]
