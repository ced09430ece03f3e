"""Attack list, letters F, W and T10: refresh tokens, cookies, devices. One process, a clock that can be moved."""

import base64
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from conftest import Answer, World
from yaoshi.accounts.policy import Role
from yaoshi.bootstrap import OPERATOR
from yaoshi.core.errors import StorageUnavailable
from yaoshi.sessions.settings import SessionSettings

ORIGIN = "https://app.example.com"
COOKIE = {"X-Yaoshi-Session": "cookie", "Origin": ORIGIN}
HTTPS = {"cors_origins": ("https://App.example.com:443",), "public_url": "https://ID.example.com:443"}


def refresh(world: World, token: str, **more: Any) -> Answer:
    return world.post("refresh", {"refresh_token": token}, **more)


def signed_in(world: World, name: str = "ana") -> dict[str, Any]:
    return dict(world.login(name).body)


def counter(world: World) -> list[Any]:
    return world.rows("SELECT counter, ended_at IS NULL FROM sessions ORDER BY id")


def is_over(world: World, *answers: dict[str, Any]) -> None:
    for one in answers:
        refused = refresh(world, one["refresh_token"])
        assert (refused.status, refused.body["code"]) == (401, "session_ended")
        assert world.me(one["access_token"]).status == 401


@pytest.fixture
def ana(world: World) -> World:
    world.register()
    return world


def test_a_refresh_gives_a_new_pair_and_keeps_the_session(ana: World) -> None:
    first = signed_in(ana)
    second = refresh(ana, first["refresh_token"])
    assert second.status == 200 and second.headers["Cache-Control"] == "no-store"
    assert 850 < second.body["expires_in"] <= 900 and second.body["token_type"] == "Bearer"
    assert second.body["refresh_token"] != first["refresh_token"]
    assert ana.me(first["access_token"]).status == ana.me(second.body["access_token"]).status == 200
    assert counter(ana) == [(1, 1)]


@pytest.mark.parametrize("wait, repeated", [(0, True), (9, True), (11, False)])
def test_f01_the_previous_token_earns_the_same_successor_for_ten_seconds(ana: World, wait: int, repeated: bool) -> None:
    first = signed_in(ana)
    second = refresh(ana, first["refresh_token"]).body
    ana.clock.advance(seconds=wait)
    again = refresh(ana, first["refresh_token"])
    if repeated:
        assert (again.status, again.body["refresh_token"]) == (200, second["refresh_token"]) and counter(ana) == [
            (1, 1)
        ]
    else:
        assert again.body["code"] == "session_ended"
        is_over(ana, first, second)
        assert ana.rows("SELECT count(*) FROM audit_entries WHERE name = 'session.refresh_replayed'") == [(1,)]


def test_f04_a_used_successor_ends_the_grace(ana: World) -> None:
    first = signed_in(ana)
    second = refresh(ana, first["refresh_token"]).body
    third = refresh(ana, second["refresh_token"]).body
    assert refresh(ana, first["refresh_token"]).status == 401
    is_over(ana, first, second, third)


@pytest.mark.parametrize("thief_first", [True, False])
def test_f10_after_a_theft_no_token_of_the_session_is_left(ana: World, thief_first: bool) -> None:
    mine, other = signed_in(ana), signed_in(ana)
    one = refresh(ana, mine["refresh_token"]).body
    if not thief_first:
        one = refresh(ana, one["refresh_token"]).body
    ana.clock.advance(seconds=11)
    refresh(ana, mine["refresh_token"])
    is_over(ana, mine, one)
    assert refresh(ana, other["refresh_token"]).status == 200, "exactly that session"


def test_without_grace_a_second_use_ends_the_session(make_world: Callable[..., World]) -> None:
    strict = make_world(refresh_grace_seconds=0)
    strict.register()
    first = signed_in(strict)
    assert refresh(strict, first["refresh_token"]).status == 200
    is_over(strict, first)


def forged(world: World, token: str, change: str) -> str:
    version, session, number, mac = token.split(".")
    return {
        "garbage": "x", "nothing": "v1...", "truncated": token[:-1], "longer": token + "0", "blank": token + " ",
        "upper": token.upper(), "version": token.replace("v1", "v2"), "newline": token + "\n",
        "next": f"{version}.{session}.{int(number) + 1}.{mac}", "zeros": f"{version}.{session}.0{number}.{mac}",
        "other-session": f"{version}.{signed_in(world)['refresh_token'].split('.')[1]}.{number}.{mac}",
        "no-mac": f"{version}.{session}.{number}.", "huge": "v1." * 1000, "chinese": "令牌",
        "access": signed_in(world)["access_token"],
    }[change]  # fmt: skip


FORGERIES = "garbage nothing truncated longer blank upper version newline next zeros other-session no-mac huge chinese"


@pytest.mark.parametrize(
    "door, change",
    [(door, one) for door in ("refresh", "logout") for one in FORGERIES.split()] + [("refresh", "access")],
)
def test_f05_f14_what_we_did_not_write_changes_nothing(ana: World, change: str, door: str) -> None:
    token = forged(ana, signed_in(ana)["refresh_token"], change)
    before = ana.snapshot()
    ana.statements.clear()
    answer = ana.post(door, {"refresh_token": token})
    assert (answer.status, answer.body["code"]) == (401, "session_ended")
    assert not any(word in text for text in ana.statements for word in ("UPDATE", "INSERT", "DELETE"))
    assert ana.snapshot() == before


def test_t10_a_refresh_token_opens_no_other_door(ana: World) -> None:
    token = signed_in(ana)["refresh_token"]
    assert ana.me(token).status == ana.post("logout-all", token=token).status == 401
    assert ana.call("GET", "/api/auth/sessions", token=token).status == 401


@pytest.mark.parametrize("end", ["disable", "password", "reset", "logout-all", "delete"])
def test_f06_an_ended_account_refreshes_no_more(ana: World, end: str) -> None:
    mine = signed_in(ana)
    if end == "disable":
        with ana.house.db.write(OPERATOR) as work:
            ana.house.accounts.disable(work, 1)
    elif end == "delete":
        with ana.house.db.write(OPERATOR) as work:
            work.db.execute(text("DELETE FROM users"))
    elif end == "password":
        body = {"old_password": "Secret123", "new_password": "Changed123"}
        assert ana.post("change-password", body, token=mine["access_token"]).status == 200
    elif end == "reset":
        assert ana.reset(ana.ask_code().body["debug_code"]).status == 200
    else:
        assert ana.post("logout-all", token=mine["access_token"]).status == 200
    is_over(ana, mine)


@pytest.mark.parametrize(
    "settings, step, last",
    [({}, 7 * 24, 0), ({}, 24 * 6, 4), ({"session_idle_hours": "2"}, 2, 0), ({"session_absolute_hours": "24"}, 1, 23)],
)
def test_f08_a_session_ends_idle_and_ends_old(
    make_world: Callable[..., World], settings: dict[str, Any], step: int, last: int
) -> None:
    world = make_world(**settings)
    world.register()
    token = signed_in(world)["refresh_token"]
    for _ in range(last):
        world.clock.advance(hours=step)
        answer = refresh(world, token)
        assert answer.status == 200
        token = answer.body["refresh_token"]
    world.clock.advance(hours=step, seconds=1)
    assert refresh(world, token).body["code"] == "session_ended"
    assert counter(world) == [(last, 0)], "the row is closed"


@pytest.mark.parametrize("shorter", [{"session_idle_hours": "1"}, {"session_absolute_hours": "1"}])
def test_f08_lowering_a_setting_shortens_sessions_that_run(
    make_world: Callable[..., World], shorter: dict[str, Any]
) -> None:
    before = make_world(access_token_minutes=720)
    before.register()
    mine = signed_in(before)
    after = make_world(database_url=before.house.settings.database_url, access_token_minutes=720, **shorter)
    other = signed_in(after)
    for hours, status in ((0.5, 200), (0.6, 401)):
        after.clock.advance(hours=hours)
        assert after.me(mine["access_token"]).status == after.me(other["access_token"]).status == status
    assert refresh(after, mine["refresh_token"]).status == 401
    here = signed_in(after)["access_token"]
    assert len(after.call("GET", "/api/auth/sessions", token=here).body["items"]) == 1, "what is over is not listed"


def test_f08_a_role_has_times_of_its_own(make_world: Callable[..., World]) -> None:
    world = make_world(session_idle_hours="168,regulator=1", session_absolute_hours="720,regulator=12")
    world.register("ana")
    world.register("reg", role="regulator")
    ana, reg = signed_in(world), signed_in(world, "reg")
    world.clock.advance(hours=1, seconds=1)
    assert refresh(world, ana["refresh_token"]).status == 200 and refresh(world, reg["refresh_token"]).status == 401


def test_an_access_token_never_outlives_its_session(make_world: Callable[..., World]) -> None:
    world = make_world(session_absolute_hours="1", access_token_minutes=720)
    world.register()
    assert 3590 < signed_in(world)["expires_in"] <= 3600


@pytest.mark.parametrize(
    "text", ["", "regulator=1", "0", "1,1", "1,boss=2", "1,regulator=1,regulator=2", "x", "1.5", "-1"]
)
def test_hours_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="session_idle_hours"):
        SessionSettings(session_idle_hours=text)  # type: ignore[arg-type]


def test_the_eleventh_session_ends_the_oldest(ana: World) -> None:
    held = [signed_in(ana) for _ in range(11)]
    is_over(ana, held[0])
    assert all(ana.me(one["access_token"]).status == 200 for one in held[1:])


def test_sessions_that_are_over_by_themselves_take_no_place(ana: World) -> None:
    held = signed_in(ana)
    for _ in range(9):
        signed_in(ana)
    for _ in range(4):
        ana.clock.advance(days=2)
        held = refresh(ana, held["refresh_token"]).body
    signed_in(ana)
    assert ana.me(held["access_token"]).status == 200
    assert len(ana.call("GET", "/api/auth/sessions", token=held["access_token"]).body["items"]) == 2


def test_only_rotations_count_against_the_limit(ana: World) -> None:
    token = signed_in(ana)["refresh_token"]
    for _ in range(60):
        last, token = token, refresh(ana, token).body["refresh_token"]
        assert [refresh(ana, last).status for _ in range(3)] == [200] * 3
    limited = refresh(ana, token)
    assert (limited.status, limited.body["code"]) == (429, "too_many_attempts") and limited.headers["Retry-After"]
    assert refresh(ana, last).status == 200 and counter(ana) == [(60, 1)]


def test_devices_are_listed_and_ended_one_by_one(ana: World) -> None:
    ana.register("ben")
    theirs = signed_in(ana, "ben")
    here, there = signed_in(ana), ana.login(headers={"User-Agent": "Phone 1"}).body
    ana.clock.advance(hours=1)
    theirs, here, fresh = (refresh(ana, one["refresh_token"]).body for one in (theirs, here, there))
    items = ana.call("GET", "/api/auth/sessions", token=here["access_token"]).body["items"]
    assert [one["current"] for one in items] == [False, True] and items[0]["device"] == "Phone 1"
    assert set(items[0]) == {"id", "device", "address", "created_at", "last_seen_at", "current"}
    assert items[0]["last_seen_at"] > items[0]["created_at"] and items[0]["created_at"].endswith("Z")
    foreign = ana.call("GET", "/api/auth/sessions", token=theirs["access_token"]).body["items"][0]["id"]
    for unknown in (foreign, "0" * 36, "1", "%00", "a%00" * 9, "' OR 1=1 --", "x" * 500):  # Z04
        refused = ana.call("DELETE", f"/api/auth/sessions/{unknown}", token=here["access_token"])
        assert (refused.status, refused.body["code"]) == (404, "no_such_session")
    ended = ana.call("DELETE", f"/api/auth/sessions/{items[0]['id']}", token=here["access_token"])
    assert ended.status == 200 and ana.me(theirs["access_token"]).status == ana.me(here["access_token"]).status == 200
    is_over(ana, there, fresh)


@pytest.mark.parametrize("way", ["access", "refresh", "body", "old-refresh"])
def test_signing_out_ends_this_session_alone(ana: World, way: str) -> None:
    mine, other = signed_in(ana), signed_in(ana)
    if way == "old-refresh":
        refresh(ana, mine["refresh_token"])
    shown = {"token": mine["access_token" if way == "access" else "refresh_token"]}
    answer = (
        ana.post("logout", {"refresh_token": mine["refresh_token"]}) if way == "body" else ana.post("logout", **shown)
    )
    assert answer.status == 200 and answer.body["msg"]
    is_over(ana, mine)
    assert ana.me(other["access_token"]).status == 200 and ana.post("logout", **shown).body["code"] == "session_ended"


def test_signing_out_with_several_tokens_of_one_session(site: World) -> None:
    def out(cookie: str, token: str) -> Answer:
        return call(site, "logout", cookie, Authorization=f"Bearer {token}")

    mine, other = site.login(headers=COOKIE), signed_in(site)
    refused = out(value_of(mine), other["access_token"])
    assert refused.body["code"] == "session_ended" and site.me(other["access_token"]).status == 200
    assert out(value_of(mine), mine.body["access_token"]).status == 200
    assert site.me(mine.body["access_token"]).status == 401 and site.me(other["access_token"]).status == 200
    stale = site.login(headers=COOKIE)
    site.clock.advance(minutes=16)
    assert out(value_of(stale), stale.body["access_token"]).status == 200, "an old token names nobody"


def test_no_token_leaves_a_trace_in_the_database(ana: World) -> None:  # F12
    first = signed_in(ana)
    second = refresh(ana, first["refresh_token"]).body
    stored = "".join(str(ana.rows(f"SELECT * FROM {table}")) for table in ("sessions", "audit_entries", "signing_keys"))
    for token in (first, second):
        for secret in (token["refresh_token"].split(".")[3], token["access_token"].split(".")[2]):
            assert secret not in stored and secret[:16] not in stored


@pytest.fixture
def site(make_world: Callable[..., World]) -> World:
    world = make_world("production", **HTTPS)
    world.register()
    return world


def cookie_of(answer: Answer) -> str:
    return str(answer.headers["Set-Cookie"])


def value_of(answer: Answer) -> str:
    return cookie_of(answer).partition("=")[2].partition(";")[0]


def call(world: World, door: str, cookie: str | None, **headers: str) -> Answer:
    given = {"Cookie": f"__Host-refresh={cookie}"} if cookie else {}
    return world.post(door, headers=given | COOKIE | {k.replace("_", "-"): v for k, v in headers.items()})


def test_w04_the_cookie_way_hides_the_refresh_token_from_every_script(site: World) -> None:
    answer = site.login(headers=COOKIE)
    assert answer.status == 200 and "refresh_token" not in answer.body
    flags = {part.strip() for part in cookie_of(answer).split(";")[1:] if "Expires=" not in part}
    assert flags == {"Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"}
    assert cookie_of(answer).startswith("__Host-refresh=v1.") and "Domain" not in cookie_of(answer)
    again = call(site, "refresh", value_of(answer))
    assert again.status == 200 and "refresh_token" not in again.body and value_of(again) != value_of(answer)
    out = call(site, "logout", value_of(again))
    assert out.status == 200 and "Max-Age=0" in cookie_of(out)
    over = call(site, "refresh", value_of(again))
    assert over.body["code"] == "session_ended"
    assert "Set-Cookie" not in over.headers, "another tab may have signed in anew since"
    assert "Max-Age=0" in cookie_of(call(site, "logout", value_of(again))), "who wants out keeps nothing"


def test_a_sign_out_that_failed_keeps_the_cookie_for_the_next_try(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: Any) -> None:
        raise StorageUnavailable(retry_after=2)

    held = value_of(site.login(headers=COOKIE))
    monkeypatch.setattr(site.house.db, "write", unavailable)
    failed = call(site, "logout", held)
    assert failed.status == 503 and "Set-Cookie" not in failed.headers
    monkeypatch.undo()
    assert call(site, "logout", held).status == 200


FOREIGN = [
    "https://evil.example", "https://app.example.com.evil.com", "https://evilapp.example.com", "http://app.example.com",
    "https://app.example.com:8443", "https://APP.example.com", "https://app.example.com.", "null", "", "*",
    "https://app.example.com, https://evil.example", "https://app.example.com/", "http://localhost:5173",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("door", ["login", "refresh", "logout"])
def test_w01_w02_w05_a_cookie_call_from_elsewhere_is_refused(site: World, door: str, origin: str) -> None:
    held = value_of(site.login(headers=COOKIE))
    before = site.snapshot()
    headers = COOKIE | {"Cookie": f"__Host-refresh={held}", "Origin": origin}
    body = {"username": "ana", "password": "Secret123"} if door == "login" else None
    answer = site.post(door, body, headers=headers)
    assert (answer.status, answer.body["code"]) == (403, "csrf") and "Access-Control-Allow-Origin" not in answer.headers
    assert site.snapshot() == before


@pytest.mark.parametrize("door", ["refresh", "logout"])
def test_w05_a_cookie_without_the_header_counts_for_nothing(site: World, door: str) -> None:
    held = value_of(site.login(headers=COOKIE))
    before = site.snapshot()
    answer = site.post(door, headers={"Cookie": f"__Host-refresh={held}", "Origin": ORIGIN})
    assert answer.body["code"] == "session_ended" and site.snapshot() == before


def test_w01_allowed_pages_are_echoed_exactly_with_credentials(site: World) -> None:
    answer = site.login(headers=COOKIE)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Credentials"] == "true" and "Origin" in answer.headers["Vary"]
    own = site.login(headers=COOKIE | {"Origin": "https://id.example.com"})
    assert own.status == 200 and "Set-Cookie" in own.headers, "our own pages go this way as well"
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-yaoshi-session",
    }
    preflight = site.call("OPTIONS", "/api/auth/refresh", headers=asked)
    assert "X-Yaoshi-Session" in preflight.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("door", ["login", "register", "refresh", "logout", "change-password", "reset-password"])
def test_w06_simple_requests_with_json_text_are_refused(site: World, door: str, media: str) -> None:
    token = site.token() if door == "change-password" else None
    answer = site.post(door, data=b'{"refresh_token": "x"}', headers={"Content-Type": media}, token=token)
    assert answer.status == 415


def test_f09_two_tokens_at_once_are_refused_and_neither_ends(site: World) -> None:
    cookie, bearer = value_of(site.login(headers=COOKIE)), signed_in(site)
    for answer in (
        call(site, "refresh", cookie, Authorization=f"Bearer {bearer['refresh_token']}"),
        site.post(
            "refresh",
            {"refresh_token": bearer["refresh_token"]},
            headers=COOKIE | {"Cookie": f"__Host-refresh={cookie}"},
        ),
        site.post("refresh", {"refresh_token": bearer["refresh_token"]}, token=signed_in(site)["refresh_token"]),
        site.post("refresh"),
    ):
        assert (answer.status, answer.body["code"]) == (401, "session_ended")
    assert call(site, "refresh", cookie).status == refresh(site, bearer["refresh_token"]).status == 200


def test_w16_a_planted_cookie_is_replaced_and_dead(site: World) -> None:
    site.register("thief")
    planted = value_of(site.login("thief", headers=COOKIE))
    answer = site.login(headers=COOKIE | {"Cookie": f"__Host-refresh={planted}"})
    assert value_of(answer) != planted and call(site, "refresh", planted).status == 401
    assert call(site, "refresh", value_of(answer)).status == 200


def test_development_over_http_uses_a_plain_cookie(ana: World) -> None:
    headers = {"X-Yaoshi-Session": "cookie", "Origin": "http://localhost:5173"}
    answer = ana.login(headers=headers)
    assert cookie_of(answer).startswith("refresh=v1.") and "Secure" not in cookie_of(answer)
    assert ana.post("refresh", headers=headers | {"Cookie": f"refresh={value_of(answer)}"}).status == 200


def test_a_body_of_our_own_contract_refuses_what_it_does_not_know(ana: World) -> None:
    answer = ana.post("refresh", {"refresh_token": "x", "secret-name": "y"})
    assert answer.status == 400 and answer.faults == {("body", "unknown_member")} and b"secret-name" not in answer.raw
    assert ana.post("refresh", {"refresh_token": 1}).faults == {("refresh_token", "not_a_string")}


CREDENTIAL = "warehouse:0f9e8d7c6b5a49382716f5e4d3c2b1a0zyxw"


def introspect(world: World, token: str, credential: str | None = CREDENTIAL, raw: str = "") -> Answer:
    basic = {"Authorization": "Basic " + base64.b64encode(credential.encode()).decode()} if credential else {}
    headers = basic | {"Content-Type": "application/x-www-form-urlencoded"}
    return world.post("introspect", data=raw or urlencode({"token": token}), headers=headers)


def test_a_service_learns_at_once_that_a_session_ended(make_world: Callable[..., World]) -> None:
    world = make_world("production", introspection_credentials=(CREDENTIAL,))
    world.register()
    mine = signed_in(world)
    told = introspect(world, mine["access_token"])
    assert told.status == 200 and told.body["active"] and told.body["sub"] == "1" and told.body["role"] == "unauth"
    for token in (mine["refresh_token"], "x", mine["access_token"][:-1]):
        assert not introspect(world, token).body["active"]
    for credential in (None, "warehouse:", "warehouse", CREDENTIAL[:-1], CREDENTIAL + "x", ":", "密:钥"):
        refused = introspect(world, mine["access_token"], credential)
        assert (refused.status, refused.body["code"]) == (401, "invalid_client")
        assert refused.headers["WWW-Authenticate"].startswith("Basic")
    more = urlencode({"token": mine["access_token"], "token_type_hint": "access_token", "resource": "x"})
    assert introspect(world, "", raw=more).body["active"]
    for raw in ("token=a&token=b", "token", "%zz=%", "a=1"):
        assert introspect(world, "", raw=raw).status == 400
    world.post("logout", token=mine["access_token"])
    assert introspect(world, mine["access_token"]).body == introspect(world, "x").body == {"active": False}


def test_without_a_credential_set_there_is_no_introspection(ana: World) -> None:
    assert introspect(ana, "x").body["code"] == "not_offered"


def test_t18_the_role_is_the_one_of_this_moment(ana: World) -> None:
    mine = signed_in(ana)
    for role in (Role.SUPPLIER, Role.UNAUTH):
        with ana.house.db.write(OPERATOR) as work:
            ana.house.accounts.set_role(work, 1, role)
        assert ana.me(mine["access_token"]).body["user"]["role"] == role.value
    assert not re.search("role", str(mine["access_token"]))


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 405, 413, 415, 429, 500, 503])
def test_w08_every_answer_carries_the_careful_headers(
    site: World, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: Any) -> None:
        raise StorageUnavailable(retry_after=2)

    def broken(*_: Any) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(site.house.installation, "is_reachable", broken if status == 500 else unavailable)
    for _ in range(6 if status == 429 else 1):
        limited = site.login(password="Wrong1234")
    answers: dict[int, Callable[[], Answer]] = {
        200: lambda: site.call("GET", "/docs"), 400: lambda: site.post("refresh", {"x": 1}),
        401: lambda: site.me(None), 403: lambda: site.post("refresh", headers={"X-Yaoshi-Session": "cookie"}),
        404: lambda: site.call("GET", "/nothing"), 405: lambda: site.call("GET", "/api/auth/refresh"),
        413: lambda: site.post("login", {"username": "x" * 70_000}), 415: lambda: site.post("login", data=b"{}"),
        429: lambda: limited, 500: lambda: site.call("GET", "/readyz"), 503: lambda: site.call("GET", "/readyz"),
    }  # fmt: skip
    answer = answers[status]()
    assert answer.status == status
    for name, value in {
        "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-site",
    }.items():  # fmt: skip
        assert answer.headers[name] == value
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
