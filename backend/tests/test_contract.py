"""Part A of the contract: what existing front-ends send, and what they are told."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import World
from yaoshi.web import console

FORM = {
    "username": "张san",
    "email": "zhangsan@example.com",
    "phone": "13800138000",
    "password": "Secret123",
    "confirmPassword": "Secret123",
    "role": "pharmacy",
}


def test_the_six_calls_of_the_old_front_end_work(world: World) -> None:
    registered = world.post("register", FORM)
    assert registered.status == 201 and registered.body["msg"]
    user = registered.body["user"]
    assert {name: user[name] for name in ("username", "email", "phone", "role")} == {
        "username": "张san",
        "email": "zhangsan@example.com",
        "phone": "13800138000",
        "role": "pharmacy",
    }
    assert isinstance(user["id"], int) and user["created_at"].endswith("Z")
    for name in ("张san", "ZhangSan@example.COM", "+86 138 0013 8000", "１３８００１３８０００"):
        signed_in = world.login(name)
        assert signed_in.status == 200, name
        assert signed_in.body["token_type"] == "Bearer" and 850 < signed_in.body["expires_in"] <= 900
    token = signed_in.body["access_token"]
    assert world.me(token).body == {"user": user}
    assert (
        world.post("change-password", {"old_password": "Secret123", "new_password": "NewSecret123"}, token=token).status
        == 200
    )
    assert world.me(token).status == 401
    asked = world.ask_code("张san", "phone", "13800138000")
    assert asked.status == 200 and asked.body["expires_in"] == 600
    done = world.reset(
        asked.body["debug_code"], identifier="zhangsan@example.com", channel="phone", contact="+8613800138000"
    )
    assert done.status == 200 and set(done.body) == {"msg"}
    assert world.login("张san", "Changed123").status == 200


def test_production_gives_its_code_to_the_operator_alone(make_world: Callable[..., World]) -> None:
    world = make_world("production")
    user = world.register(role="pharmacy")
    assert (user["role"], user["requested_role"]) == ("unauth", "pharmacy")
    answer = world.ask_code()
    assert set(answer.body) == {"msg", "expires_in"}


def test_open_roles_are_granted_in_production(make_world: Callable[..., World]) -> None:
    world = make_world("production", self_assignable_roles="pharmacy,supplier")
    assert world.register("ana", role="supplier")["role"] == "supplier"
    assert world.register("ben", role="regulator")["role"] == "unauth"


@pytest.mark.parametrize("phone", ["", "  ", None])
def test_an_optional_member_may_be_blank(world: World, phone: str | None) -> None:
    assert world.register(phone=phone)["phone"] is None


@pytest.mark.parametrize(
    ("door", "body", "faults"),
    [
        ("register", {}, {("username", "missing"), ("email", "missing"), ("password", "missing")}),
        (
            "register",
            {"username": "a@b", "email": "nobody", "phone": "123", "password": "abc", "role": "admin"},
            {
                ("username", "has_at_sign"),
                ("email", "not_an_email"),
                ("phone", "not_a_phone"),
                ("role", "not_allowed"),
                ("password", "too_short"),
                ("password", "no_upper"),
                ("password", "no_digit"),
            },
        ),
        ("login", {"username": " ", "password": None}, {("username", "missing"), ("password", "missing")}),
        (
            "reset-password",
            {"identifier": "ana", "channel": "pigeon", "code": "1", "new_password": "weak"},
            {
                ("channel", "not_allowed"),
                ("contact", "missing"),
                ("new_password", "too_short"),
                ("new_password", "no_upper"),
                ("new_password", "no_digit"),
            },
        ),
        (
            "request-reset-code",
            {"identifier": "ana", "channel": 1, "contact": []},
            {("channel", "not_a_string"), ("contact", "not_a_string")},
        ),
    ],
)
def test_every_fault_is_told_at_once(
    world: World, door: str, body: dict[str, Any], faults: set[tuple[str, str]]
) -> None:
    answer = world.post(door, body)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.faults == faults
    assert answer.body["msg"] == " ".join(one["msg"] for one in answer.body["errors"])


def test_a_refusal_speaks_the_callers_language(world: World) -> None:
    said = {
        language: world.post("login", {"username": "x", "password": "y"}, headers={"Accept-Language": language}).body[
            "msg"
        ]
        for language in ("zh-CN", "zh", "en-GB,en;q=0.9", "fr", "")
    }
    assert said["zh-CN"] == said["zh"] == said["fr"] == said[""] == "用户名或密码错误。"
    assert said["en-GB,en;q=0.9"] == "That name and password do not match."


def test_a_refusal_has_every_member_of_the_contract(world: World) -> None:
    answer = world.post("login", {"username": "x", "password": "y"})
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.body) == {"type", "title", "status", "detail", "msg", "code", "request_id"}
    assert world.call("GET", answer.body["type"].removeprefix("http://localhost")).body["code"] == "wrong_credentials"


def test_a_taken_identifier_names_every_field(world: World) -> None:
    world.post("register", FORM)
    answer = world.post(
        "register", FORM | {"username": "ＺHANGSAN".replace("ＺHANG", "张"), "phone": "+86-138-0013-8000"}
    )
    assert (answer.status, answer.code) == (409, "identifier_taken")
    assert answer.faults == {("username", "taken"), ("email", "taken"), ("phone", "taken")}


def test_changing_the_password_tells_all_at_once(world: World) -> None:
    world.register()
    answer = world.post("change-password", {"old_password": "Wrong1234", "new_password": "weak"}, token=world.token())
    assert answer.status == 400
    assert answer.faults == {
        ("old_password", "wrong"),
        ("new_password", "too_short"),
        ("new_password", "no_upper"),
        ("new_password", "no_digit"),
    }
    same = world.post(
        "change-password", {"old_password": "Secret123", "new_password": "Secret123"}, token=world.token()
    )
    assert same.faults == {("new_password", "same_as_old")}


def test_every_session_ends_with_the_password(world: World) -> None:
    world.register()
    tokens = [world.token() for _ in range(3)]
    assert (
        world.post(
            "change-password", {"old_password": "Secret123", "new_password": "Changed123"}, token=tokens[0]
        ).status
        == 200
    )
    assert [world.me(token).status for token in tokens] == [401, 401, 401]
    later = world.token(password="Changed123")
    assert world.reset(world.ask_code().body["debug_code"], "Secret123").status == 200
    assert world.me(later).status == 401


def test_a_new_code_waits_for_the_resend_interval(make_world: Callable[..., World]) -> None:
    world = make_world(resend_seconds=60)
    world.register()
    first = world.ask_code().body["debug_code"]
    assert "debug_code" not in world.ask_code().body
    world.clock.advance(seconds=61)
    second = world.ask_code().body["debug_code"]
    assert world.reset(first).code == "code_rejected" or first == second
    assert world.reset(second).status == 200


def test_other_origins_get_headers_only_when_named(make_world: Callable[..., World]) -> None:
    world = make_world("production", cors_origins="https://app.example.com")
    for origin, allowed in (
        ("https://app.example.com", True),
        ("https://app.example.com.evil.com", False),
        ("http://app.example.com", False),
        ("https://app.example.com:444", False),
        ("https://APP.example.com", False),
        ("null", False),
        ("http://localhost:5173", False),
        ("https://app.example.com,https://evil.com", False),
    ):
        headers = world.call("GET", "/", headers={"Origin": origin}).headers
        assert headers.get("Access-Control-Allow-Origin") == (origin if allowed else None), origin
        assert "Origin" in headers["Vary"]
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    preflight = world.call("OPTIONS", "/api/auth/login", headers=asked)
    assert preflight.status == 200 and "Authorization" in preflight.headers["Access-Control-Allow-Headers"]


def test_development_lets_pages_of_this_machine_call(world: World) -> None:
    headers = world.call("GET", "/", headers={"Origin": "http://localhost:5173"}).headers
    assert headers["Access-Control-Allow-Origin"] == "http://localhost:5173"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("host", {"headers": {"Host": "auth.example.com"}}),
        ("via", {"headers": {"Via": "1.1 proxy"}}),
        ("forwarded for", {"headers": {"X-Forwarded-For": "203.0.113.9"}}),
        ("forwarded", {"headers": {"Forwarded": 'for=127.0.0.1, for="[2001:db8::1]"'}}),
        ("real ip", {"headers": {"X-Real-IP": "203.0.113.9"}}),
        ("forwarded host", {"headers": {"X-Forwarded-Host": "auth.example.com"}}),
        ("origin", {"headers": {"Origin": "https://example.com"}}),
        ("null origin", {"headers": {"Origin": "null"}}),
        ("referer", {"headers": {"Referer": "https://example.com/login"}}),
        ("peer", {"address": "192.0.2.7"}),
        ("http 1.0", {"environ_overrides": {"SERVER_PROTOCOL": "HTTP/1.0"}}),
    ],
)
def test_development_answers_its_own_machine_only(world: World, name: str, given: dict[str, Any]) -> None:
    answer = world.call("GET", "/", **given)
    assert (answer.status, answer.code) == (403, "development_only")


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": "127.0.0.1"}, {"Host": "[::1]:5000"}, {"Origin": "http://127.0.0.1:5173"}]
)
def test_development_answers_a_proxy_of_this_machine(world: World, headers: dict[str, str]) -> None:
    assert world.call("GET", "/", headers=headers).status == 200


def test_health_and_the_api_page_are_there(world: World) -> None:
    for path in ("/", "/healthz", "/readyz", "/openapi.json", "/docs", "/docs/swagger-ui-bundle.js", "/docs/start.js"):
        assert world.call("GET", path).status == 200, path
    assert "http" not in world.call("GET", "/docs").raw.decode().replace("Yaoshi", "")


BUILT = {"index.html": b"<title>pages</title>", "assets/a-1.js": b"let a = 1", "icon.svg": b"<svg/>"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("path", "accept", "status", "kind"),
    [
        ("/", BROWSER, 302, None),
        ("/", {"Accept": "*/*"}, 200, "application/json"),
        ("/", {"Accept": "application/json"}, 200, "application/json"),
        ("/console/", BROWSER, 200, "text/html; charset=utf-8"),
        ("/console/account", BROWSER, 200, "text/html; charset=utf-8"),
        ("/console/index.html", BROWSER, 200, "text/html; charset=utf-8"),
        ("/console/assets/a-1.js", {"Accept": "*/*"}, 200, "text/javascript"),
        ("/console/icon.svg", BROWSER, 200, "image/svg+xml"),
        ("/console/assets/gone.js", BROWSER, 404, "application/problem+json"),
        ("/console/../settings.py", BROWSER, 200, "text/html; charset=utf-8"),
        ("/console/account", {"Accept": "application/json"}, 404, "application/problem+json"),
    ],
)
def test_browsers_get_pages_and_callers_json(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, accept: dict[str, str], status: int, kind: str | None
) -> None:
    monkeypatch.setattr(console, "_files", lambda: BUILT)
    answer = world.call("GET", path, headers=accept)
    assert answer.status == status and kind in (None, answer.headers["Content-Type"]), answer.headers
    assert status != 302 or answer.headers["Location"] == "/console/"
    if path == "/console/assets/a-1.js":
        assert "immutable" in answer.headers["Cache-Control"]
    if kind and kind.startswith("text/html"):
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"] and answer.raw == BUILT["index.html"]
        squeezed = world.call("GET", path, headers=accept | {"Accept-Encoding": "gzip"})
        assert gzip.decompress(squeezed.raw) == BUILT["index.html"]


def test_without_built_pages_browsers_are_told_what_to_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_files", dict)
    assert world.call("GET", "/", headers=BROWSER).status == 200
    assert b"python dev.py pages" in world.call("GET", "/console/", headers=BROWSER).raw


@pytest.mark.parametrize("name", ["logo.svg", "Logo.PNG"])
def test_an_installations_logo_is_served_as_a_picture_that_runs_nothing(
    make_world: Callable[..., World], tmp_path: Path, name: str
) -> None:
    logo = tmp_path / name
    logo.write_bytes(b"\x89PNG\r\n\x1a\n<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    world = make_world(installation_logo=logo)
    address = world.call("GET", "/api/auth/options").body["logo"]
    assert address == "/console/" + name.lower()
    answer = world.call("GET", address)
    assert answer.raw == logo.read_bytes() and answer.headers["Content-Type"].startswith("image/")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")


def test_a_logo_is_no_larger_than_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes(b"<svg>" + bytes(100_000))
    with pytest.raises(ValueError, match="larger than 100 kB"):
        console.logo_of(tmp_path / "logo.svg")
