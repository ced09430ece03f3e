"""Attack list, letter E: nothing tells who exists. Equal answers, equal statements, equal hashes."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.security import generate_password_hash

from conftest import Answer, World
from servers import free_port
from yaoshi.bootstrap import OPERATOR

PHONES = {
    "ana": "13800138000",
    "dis": "13900139000",
    "thr": "13600136000",
    "lowphone": "13500135000",
    "lowemail": "13400134000",
    "raw": "13300133000",
    "old": "13200132000",
}
"""Who has a telephone, in the order of registration; ben and nohash have none."""
RESET_CLASSES = {
    "unknown": ("ghost", "ana"),
    "known": ("ana", "ana"),
    "known-by-phone": ("13800138000", "ana"),
    "known-by-email": ("ana@example.com", "ana"),
    "wrong-contact": ("ana", "dis"),
    "channel-not-bound": ("ben", "nobody"),
    "disabled": ("dis", "dis"),
    "throttled": ("thr", "thr"),
    "powerless-phone": ("lowphone", "lowphone"),
    "powerless-email": ("lowemail", "lowemail"),
    "unverified": ("raw", "raw"),
    "adopted": ("old", "old"),
    "not-even-a-contact": ("ana", "???"),
}
"""An identifier, and whose contact is claimed to be its own."""
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


def all_on() -> dict[str, Any]:
    """Return the settings of a house with every door open, whose providers are down."""
    down = f"127.0.0.1:{free_port()}"
    texting = {"sms_webhook_url": f"http://{down}/sms", "sms_webhook_secret": "x" * 32, "sms_daily_max": 1000}
    doors = {"sign_in_by_code": True, "contact_verification": "required", "public_url": "https://id.example.com"}
    return {"smtp_url": f"smtp://{down}", "mail_from": "a@example.org", "sms_providers": "webhook", **texting, **doors}


@pytest.fixture(params=["plain", "all-on"])
def peopled(make_world: Callable[..., World], request: pytest.FixtureRequest) -> World:
    above = {"limit_reset_address": "1000/hour", "limit_register_address": "100/hour", "resend_seconds": 0}
    world = make_world("production", **above, **(all_on() if request.param == "all-on" else {}))
    ids = {name: world.register(name, phone=phone)["id"] for name, phone in PHONES.items()}
    ids |= {name: world.register(name)["id"] for name in ("ben", "nohash")}
    with world.house.db.write(OPERATOR) as work:
        for name in ("ana", "dis", "thr"):
            for channel in ("email", "phone"):
                world.house.accounts.prove(work, ids[name], channel)
        world.house.accounts.disable(work, ids["dis"])
        world.house.accounts.prove(work, ids["lowphone"], "email", alone=True)
        world.house.accounts.prove(work, ids["lowemail"], "phone", alone=True)
        work.db.exec_driver_sql("UPDATE users SET unproven_contacts = 'adopted' WHERE id = ?", (ids["old"],))
        world.house.passwords.replace(work, ids["nohash"], "pbkdf2:sha256:260000$cut")
    for channel in ("email", "phone"):
        for _ in range(5):
            ask(world, "throttled", channel)
    return world


def claim(name: str, channel: str) -> dict[str, str]:
    identifier, whose = RESET_CLASSES[name]
    contact = f"{whose}@example.com" if channel == "email" else PHONES.get(whose, "13100131000")
    return {"identifier": identifier, "channel": channel, "contact": whose if whose == "???" else contact}


def ask(world: World, name: str, channel: str) -> Answer:
    return world.post("request-reset-code", claim(name, channel))


def try_code(world: World, name: str, channel: str, code: str = "000000") -> Answer:
    return world.post("reset-password", claim(name, channel) | {"code": code, "new_password": "Changed123"})


def seen(answer: Answer) -> tuple[Any, ...]:
    """What a stranger can compare: everything but the request's own id."""
    raw = re.sub(rb'"request_id":"[^"]+"', b"", answer.raw)
    return answer.status, raw, [name for name, _ in answer.headers]


def assert_same(one: Any, other: Any, name: str) -> None:
    for mine, theirs, what in zip(one, other, ("statements", "hashes", "answer"), strict=True):
        assert mine == theirs, (name, what)


def cost(world: World, act: Callable[[], Answer]) -> tuple[list[str], list[str], tuple[Any, ...]]:
    world.call("GET", "/.well-known/jwks.json")  # keys are read anew each second, whoever asks: not within this one
    world.statements.clear()
    world.hashes.clear()
    answer = act()
    assert "BEGIN IMMEDIATE" in world.statements
    return list(world.statements), list(world.hashes), seen(answer)


@pytest.mark.parametrize("channel", ["email", "phone"])
def test_e03_e13_asking_for_a_code_tells_nothing(peopled: World, channel: str) -> None:
    costs = {name: cost(peopled, lambda name=name: ask(peopled, name, channel)) for name in RESET_CLASSES}  # type: ignore[misc]
    while peopled.house.worker.send_one(channel):
        pass
    assert not peopled.rows("SELECT 1 FROM messages WHERE state = 'sent'")
    costs["no-provider-takes-it"] = cost(peopled, lambda: ask(peopled, "known", channel))
    assert costs["known"][2][0] == 200
    for name, one in costs.items():
        assert_same(one, costs["known"], name)
    # The classes are what they are called: codes with an owner are theirs alone who may have one.
    owned = peopled.rows(
        "SELECT DISTINCT username FROM password_reset_codes JOIN users ON users.id = user_id"
        f" WHERE channel = '{channel}' AND username != 'thr' ORDER BY 1"
    )
    assert owned == [("ana",), ("low" + {"email": "phone", "phone": "email"}[channel],), ("old",), ("raw",)]


@pytest.mark.parametrize("channel", ["email", "phone"])
def test_e05_e13_a_failing_reset_tells_nothing(peopled: World, channel: str) -> None:
    for name in ("known", "disabled", "unknown"):
        ask(peopled, name, channel)
    costs = {name: cost(peopled, lambda name=name: try_code(peopled, name, channel)) for name in RESET_CLASSES}  # type: ignore[misc]
    for _ in range(5):
        try_code(peopled, "known", channel)
    costs["dead-code"] = cost(peopled, lambda: try_code(peopled, "known", channel))
    peopled.clock.advance(minutes=11)
    costs["expired"] = cost(peopled, lambda: try_code(peopled, "known", channel))
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
        for user_id in (1, 2, 3):
            peopled.house.passwords.replace(work, user_id, legacy)
    peopled.house.passwords.learn_mix()
    drawn = [peopled.house.passwords._decoy(f"name{number}") for number in range(300)]
    share = sum(decoy.startswith("pbkdf2:sha256:1000$") for decoy in drawn) / 300
    assert 0.25 < share < 0.55  # three of the eight usable hashes
    assert len({peopled.house.passwords._decoy("ghost") for _ in range(10)}) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("OPTIONS", "/api/auth/login"), ("HEAD", "/api/auth/me"), ("GET", "/api/auth/login"), ("GET", "/api/auth/users")],
)
def test_e10_other_methods_and_paths_know_nobody(peopled: World, method: str, path: str) -> None:
    assert "ana" not in str(seen(peopled.call(method, path, headers={"Origin": "https://example.com"})))


def test_e08_no_provider_is_asked_on_a_request(peopled: World) -> None:
    assert not [
        statement for statement in cost(peopled, lambda: ask(peopled, "known", "email"))[0] if "http" in statement
    ]
