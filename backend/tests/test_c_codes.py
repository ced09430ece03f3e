"""Attack list, letter C: reset codes."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from conftest import World
from yaoshi.bootstrap import OPERATOR
from yaoshi.core import random
from yaoshi.core.errors import StorageUnavailable


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


@pytest.fixture
def known(world: World) -> World:
    world.register(phone="13800138000")
    world.register("ben", phone="13900139000")
    return world


def test_c01_five_wrong_tries_kill_a_code_and_a_new_one_works(known: World) -> None:
    code = known.ask_code().body["debug_code"]
    for _ in range(5):
        assert known.reset(wrong(code)).code == "code_rejected"
    assert known.reset(code).code == "code_rejected"
    assert known.reset(known.ask_code().body["debug_code"]).status == 200


def test_the_fifth_try_may_be_the_right_one(known: World) -> None:
    code = known.ask_code().body["debug_code"]
    for _ in range(4):
        known.reset(wrong(code))
    assert known.reset(code).status == 200


@pytest.mark.parametrize(
    "claim",
    [
        {"identifier": "ben"},
        {"identifier": "ben", "contact": "ben@example.com"},
        {"contact": "ben@example.com"},
        {"identifier": "ghost"},
        {"channel": "phone"},
        {"channel": "phone", "contact": "13800138000"},
        {"contact": "ana+x@example.com"},
        {"contact": "ana@example.com.evil.com"},
    ],
    ids=[
        "C04-user",
        "C04-user-and-contact",
        "C04-contact",
        "C04-ghost",
        "C05-channel",
        "C05-other-channel",
        "C05-plus",
        "C05-suffix",
    ],
)
def test_a_code_works_for_its_user_channel_and_contact_only(known: World, claim: dict[str, str]) -> None:
    code = known.ask_code().body["debug_code"]
    assert known.reset(code, **claim).code == "code_rejected"
    assert known.login("ben").status == 200
    assert known.reset(code).status == 200


@pytest.mark.parametrize("contact", ["ANA@example.com", " ana@EXAMPLE.com "])
def test_c05_the_same_contact_in_another_spelling_works(known: World, contact: str) -> None:
    assert known.reset(known.ask_code().body["debug_code"], contact=contact).status == 200


def test_c06_a_used_code_is_refused_for_ever(known: World) -> None:
    code = known.ask_code().body["debug_code"]
    assert known.reset(code).status == 200
    for minutes in (0, 5, 6):
        known.clock.advance(minutes=minutes)
        assert known.reset(code, "Another123").code == "code_rejected"
    assert known.login(password="Changed123").status == 200


def test_a_code_dies_after_ten_minutes(known: World) -> None:
    code = known.ask_code().body["debug_code"]
    known.clock.advance(seconds=601)
    assert known.reset(code).code == "code_rejected"


def test_c08_two_codes_are_never_valid_together(known: World) -> None:
    first, second = known.ask_code().body["debug_code"], known.ask_code().body["debug_code"]
    if first != second:
        assert known.reset(first).code == "code_rejected"
    assert known.reset(second).status == 200


def test_success_ends_the_codes_of_the_other_channel(known: World) -> None:
    by_phone = known.ask_code(channel="phone", contact="13800138000").body["debug_code"]
    assert known.reset(known.ask_code().body["debug_code"]).status == 200
    assert known.reset(by_phone, channel="phone", contact="13800138000").code == "code_rejected"


@pytest.mark.parametrize("mode", ["production", "development"])
@pytest.mark.parametrize(
    "trick", [{"query_string": "debug=1"}, {"headers": {"X-Debug": "1"}}, {"headers": {"X-Forwarded-For": "127.0.0.1"}}]
)
def test_c12_production_never_shows_a_code(make_world: Callable[..., World], mode: str, trick: dict[str, Any]) -> None:
    world = make_world(mode)
    world.register()
    answer = world.post(
        "request-reset-code",
        {"identifier": "ana", "channel": "email", "contact": "ana@example.com", "debug": True},
        **trick,
    )
    assert ("debug_code" in answer.body) is (mode == "development")
    assert ("debug_code" in str(world.call("GET", "/openapi.json").body)) is (mode == "development")


GARBAGE = ["12345", "1234567", "123 456", "123456\x00", "123456'", "abcdef", "-12345", "1e5555", "٣٣٣٣٣٣", "1" * 320]


@pytest.mark.parametrize("code", GARBAGE)
def test_c16_text_that_is_no_code_spends_no_try(known: World, code: str) -> None:
    real = known.ask_code().body["debug_code"]
    for _ in range(6):
        assert known.reset(code).code == "code_rejected"
    assert known.reset(real).status == 200


@pytest.mark.parametrize(
    ("code", "fault"),
    [(123456, "not_a_string"), (None, "missing"), ("", "missing"), (["1"], "not_a_string"), ("1" * 10240, "too_long")],
)
def test_c16_c28_a_code_is_text(known: World, code: Any, fault: str) -> None:
    assert known.reset(code).faults == {("code", fault)}


def test_c16_full_width_digits_and_outer_blanks_are_read(known: World) -> None:
    code = known.ask_code().body["debug_code"]
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
    assert known.reset(f" {wide} ").status == 200


def test_c17_codes_are_evenly_drawn() -> None:
    drawn = [random.digits(6) for _ in range(100_000)]
    by_place = [Counter(code[place] for code in drawn) for place in range(6)]
    by_bucket = Counter(int(code) // 1000 for code in drawn)
    # Chi-square bounds for p = 10^-6: these tests fail once in a hundred thousand runs.
    assert all(sum((count - 10_000) ** 2 / 10_000 for count in place.values()) < 46 for place in by_place)
    assert sum((by_bucket[bucket] - 100) ** 2 / 100 for bucket in range(1000)) < 1230
    assert any(code.startswith("0") for code in drawn)


@pytest.mark.parametrize("change", ["change-password", "disable", "operator"])
def test_c24_a_live_code_dies_with_the_change(known: World, change: str) -> None:
    code = known.ask_code().body["debug_code"]
    if change == "change-password":
        known.post("change-password", {"old_password": "Secret123", "new_password": "Newpass123"}, token=known.token())
    else:
        with known.house.db.write(OPERATOR) as work:
            known.house.codes.void_all(work, 1)
            if change == "disable":
                known.house.accounts.disable(work, 1)
    assert known.reset(code).code == "code_rejected"


def test_c28_a_reset_without_a_request_is_refused(known: World) -> None:
    before = known.snapshot()
    assert known.reset("123456").code == "code_rejected"
    assert known.snapshot() == before


def test_a_weak_password_is_told_before_a_try_is_spent(known: World) -> None:
    code = known.ask_code().body["debug_code"]
    for _ in range(6):
        assert ("new_password", "too_short") in known.reset(code, "weak").faults
    assert known.reset(code).status == 200


def test_the_old_password_may_be_chosen_again(known: World) -> None:
    assert known.reset(known.ask_code().body["debug_code"], "Secret123").status == 200


def test_codes_stand_in_no_table(known: World) -> None:
    code = known.ask_code().body["debug_code"]
    assert code not in str(known.rows("SELECT code_hash, subject, contact_value FROM password_reset_codes"))


def test_a_try_whose_journey_fails_is_given_back(known: World, monkeypatch: pytest.MonkeyPatch) -> None:
    code = known.ask_code().body["debug_code"]
    monkeypatch.setattr(known.house.passwords, "replace", fail_storage)
    for _ in range(6):
        assert known.reset(code).status == 503
    monkeypatch.undo()
    assert known.reset(code).status == 200


def fail_storage(*_: Any, **__: Any) -> None:
    raise StorageUnavailable(retry_after=1)
