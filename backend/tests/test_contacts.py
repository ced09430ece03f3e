"""Contacts: proven, changed, disowned; notices; sign-in by code. Attack list: C09, C10, C22, C26, X06, E, T."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gateways import Gateway, Mailbox
from test_e_enumeration import assert_same, cost
from test_q_messages import PHONE, ROOMY, mailing, send_all

from conftest import Answer, World
from yaoshi.accounts.policy import Role
from yaoshi.accounts.service import NewAccount
from yaoshi.bootstrap import OPERATOR
from yaoshi.codes.policy import Purpose, Shape, shape_of
from yaoshi.sessions.policy import is_strange

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{} Safari/537.36"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def post(make_world: Callable[..., World], mailbox: Mailbox) -> Iterator[World]:
    """A production house that mails and texts, where people may sign in by code; ana is there."""
    gateway = Gateway("webhook")
    more = {**mailing(mailbox), **gateway.settings(), "public_url": "https://id.example.com", "sign_in_by_code": True}
    world = make_world("production", limit_contact_account="1000/hour", **more)
    world.register(phone=PHONE)
    world.gateway = gateway  # type: ignore[attr-defined]
    yield world
    gateway.close()


def contact(world: World, path: str, token: str, body: Any = None, method: str = "POST", **more: Any) -> Answer:
    return world.call(method, f"/api/auth/contacts/{path}", body, token=token, **more)


def deliver(world: World, mailbox: Mailbox) -> tuple[list[Any], list[dict[str, Any]]]:
    """Send what waits; return the mails and SMS of this time."""
    gateway: Gateway = world.gateway  # type: ignore[attr-defined]
    mails, texts = len(mailbox.mails), len(gateway.taken)
    send_all(world)
    send_all(world, "phone")
    return mailbox.mails[mails:], gateway.taken[texts:]


def link_of(mail: Any) -> str:
    return str(re.search(r"https://id\.example\.com/console/disown#(\S+)", mail.text)[1])  # type: ignore[index]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_an_owner_proves_both_contacts(post: World, mailbox: Mailbox, language: str) -> None:
    token, headers = post.token(), {"Accept-Language": language}
    assert post.me(token).body["user"]["email_verified_at"] is None
    for channel in ("email", "phone"):
        asked = contact(post, f"{channel}/code", token, headers=headers)
        assert asked.status == 200 and asked.body["expires_in"] == 600 and "debug_code" not in asked.body
        mails, texts = deliver(post, mailbox)
        code = mails[0].code if channel == "email" else texts[0]["code"]
        done = contact(post, f"{channel}/verify", token, {"code": code}, headers=headers)
        assert done.status == 200 and done.body["user"][f"{channel}_verified_at"].endswith("Z"), done.body
        assert contact(post, f"{channel}/verify", token, {"code": code}).code == "code_rejected"


def test_a_contact_changes_once_the_new_one_is_proven(post: World, mailbox: Mailbox) -> None:
    token = post.token()
    asked = contact(post, "email", token, {"value": "New@Example.com", "password": "Secret123"}, "PUT")
    assert asked.status == 200 and post.me(token).body["user"]["email"] == "ana@example.com"
    mails, texts = deliver(post, mailbox)
    assert not texts and {mail.to[0] for mail in mails} == {"New@Example.com", "ana@example.com"}
    (code,) = [mail.code for mail in mails if mail.to == ["New@Example.com"]]
    post.ask_code()  # C22: on its way to the old address
    done = contact(post, "email/verify", token, {"code": code})
    assert done.body["user"]["email"] == "New@Example.com" and done.body["user"]["email_verified_at"]
    told, _ = deliver(post, mailbox)
    assert [mail.to for mail in told] == [["ana@example.com"]] and "changed" in str(told[0].message["Subject"])
    assert post.login("new@example.com").status == 200 and post.login("ana@example.com").status == 401
    post.ask_code(contact="ana@example.com")
    assert deliver(post, mailbox)[0][1:] == []  # the new device of the sign-in above is told, no code is sent


@pytest.mark.parametrize(
    ("path", "body", "method", "status", "fault"),
    [
        ("email", {"value": "not an address", "password": "Secret123"}, "PUT", 400, ("value", "not_an_email")),
        ("phone", {"value": "12", "password": "Secret123"}, "PUT", 400, ("value", "not_a_phone")),
        ("phone", {"value": ["13900139000"], "password": "Secret123"}, "PUT", 400, ("value", "not_a_string")),
        ("email", {"value": "a@b.example", "password": "Wrong1234"}, "PUT", 400, ("password", "wrong")),
        ("email", {"value": "a@b.example"}, "PUT", 400, ("password", "missing")),
        ("email", {"value": "a@b.example\r\nBcc: c@d.example", "password": "Secret123"}, "PUT", 400, ("value", "not_an_email")),
        ("email/verify", {"code": "123456", "more": "x"}, "POST", 400, ("body", "unknown_member")),
        ("email/verify", {}, "POST", 400, ("code", "missing")),
        ("pigeon/code", None, "POST", 404, None),
        ("pigeon", {"value": "x", "password": "x"}, "PUT", 404, None),
    ],
)  # fmt: skip
def test_bad_input_about_contacts_changes_nothing(
    post: World, path: str, body: Any, method: str, status: int, fault: tuple[str, str] | None
) -> None:
    token = post.token()
    before = post.snapshot()
    answer = contact(post, path, token, body, method)
    assert answer.status == status and (fault is None or fault in answer.faults), answer.body
    assert post.snapshot() == before


@pytest.mark.parametrize("path", ["email", "email/code", "email/verify"])
def test_contacts_are_their_owners_alone(post: World, path: str) -> None:
    body = {"email": {"value": "x@y.example", "password": "Secret123"}, "email/verify": {"code": "1"}}.get(path)
    method = "PUT" if path == "email" else "POST"
    for token in ("", "v1.1.9999999999." + "0" * 32, "x"):
        assert contact(post, path, token, body, method).code == "unauthenticated"


def test_x06_a_number_that_two_want_has_one_owner(post: World, mailbox: Mailbox) -> None:
    post.register("ben", phone="13900139000")
    ana, ben = post.token(), post.token("ben")
    wish = {"value": "13700137000", "password": "Secret123"}
    codes = []
    for token in (ana, ben):
        assert contact(post, "phone", token, wish, "PUT").status == 200
        codes.append(deliver(post, mailbox)[1][0]["code"])
    verify = [lambda: contact(post, "phone/verify", ana, {"code": codes[0]})] * 2
    verify += [lambda: contact(post, "phone/verify", ben, {"code": codes[1]})] * 2
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda act: act(), verify))
    assert sorted(answer.status for answer in answers)[0] == 200
    assert sum(answer.status == 200 for answer in answers) == 1, [answer.body for answer in answers]
    assert post.rows("SELECT count(*) FROM users WHERE phone_key = '+8613700137000'") == [(1,)]


def test_a_number_that_is_somebody_elses_is_answered_alike_and_sent_nothing(post: World, mailbox: Mailbox) -> None:
    post.register("ben", phone="13900139000")
    token = post.token()

    def wish(value: str) -> Callable[[], Answer]:
        return lambda: contact(post, "phone", token, {"value": value, "password": "Secret123"}, "PUT")

    wish("13600136000")()
    assert_same(cost(post, wish("13900139000")), cost(post, wish("13700137000")), "taken")
    deliver(post, mailbox)
    assert [told["to"] for told in post.gateway.taken if told["kind"] == "contact_code"] == ["+8613700137000"]  # type: ignore[attr-defined]
    assert contact(post, "phone/verify", token, {"code": "000000"}).code == "code_rejected"


def test_the_older_code_does_not_tell_whether_a_contact_is_taken(
    make_world: Callable[..., World], mailbox: Mailbox
) -> None:
    world = make_world("production", **{**mailing(mailbox), "resend_seconds": 60})
    world.register("vic")
    for name, value in (("ana", "vic@example.com"), ("ben", "nobody@example.com")):
        world.register(name)
        token = world.token(name)
        contact(world, "email/code", token)
        send_all(world)
        older = mailbox.mails[-1].code
        world.clock.advance(seconds=61)
        assert contact(world, "email", token, {"value": value, "password": "Secret123"}, "PUT").status == 200
        assert contact(world, "email/verify", token, {"code": older}).code == "code_rejected"
        contact(world, "email/code", token)
        mails = len(mailbox.mails)
        send_all(world)
        assert [f"{name}@example.com"] in [mail.to for mail in mailbox.mails[mails:]]  # at once, in either case


def test_a_mistyped_contact_is_mended_at_once(make_world: Callable[..., World], mailbox: Mailbox) -> None:
    world = make_world("production", **{**mailing(mailbox), "resend_seconds": 60})
    world.register()
    token, codes = world.token(), {}
    for value in ("tpyo@example.com", "typo@example.com", "typo@example.com"):
        assert contact(world, "email", token, {"value": value, "password": "Secret123"}, "PUT").status == 200
        send_all(world)
    codes = {mail.to[0]: mail.code for mail in mailbox.mails if mail.to[0] != "ana@example.com"}
    assert [mail.to[0] for mail in mailbox.mails if mail.to[0] in codes] == ["tpyo@example.com", "typo@example.com"]
    assert contact(world, "email/verify", token, {"code": codes["tpyo@example.com"]}).code == "code_rejected"
    assert contact(world, "email/verify", token, {"code": codes["typo@example.com"]}).status == 200


def test_many_accounts_do_not_flood_one_mailbox(post: World, mailbox: Mailbox) -> None:
    for number in range(8):
        post.register(f"u{number}")
        wish = {"value": "victim@example.com", "password": "Secret123"}
        assert contact(post, "email", post.token(f"u{number}"), wish, "PUT").status == 200
    mails, _ = deliver(post, mailbox)
    assert [mail.to for mail in mails].count(["victim@example.com"]) == 5


def prove(world: World, mailbox: Mailbox, channel: str, token: str) -> Answer:
    contact(world, f"{channel}/code", token)
    mails, texts = deliver(world, mailbox)
    code = mails[0].code if channel == "email" else texts[0]["code"]
    return contact(world, f"{channel}/verify", token, {"code": code})


@pytest.mark.parametrize("proven", [False, True])
def test_c26_no_contact_loses_its_power_in_silence(post: World, mailbox: Mailbox, proven: bool) -> None:
    """The other side of C26: the mailbox is a stranger's, and the telephone is the owner's."""
    if proven:
        assert prove(post, mailbox, "phone", post.token()).status == 200
    post.ask_code()
    assert post.reset(deliver(post, mailbox)[0][0].code).status == 200
    mails, texts = deliver(post, mailbox)
    assert [told["kind"] for told in texts] == ["password_changed"] and texts[0]["to"] == "+8613800138000"
    assert [mail.to for mail in mails] == [["ana@example.com"]]
    assert post.post("disown", {"token": texts[0]["link"].partition("#")[2]}).status == 200
    assert post.login(password="Changed123").status == 401
    post.ask_code()  # the next reset takes nothing more from that telephone, and tells it nothing
    assert post.reset(deliver(post, mailbox)[0][0].code).status == 200
    assert deliver(post, mailbox)[1] == []


@pytest.mark.parametrize("own_proven", [False, True])
def test_c26_who_registered_with_anothers_address_keeps_nothing(
    post: World, mailbox: Mailbox, own_proven: bool
) -> None:
    squatter = post.token()
    if own_proven:
        assert prove(post, mailbox, "phone", squatter).status == 200
    contact(post, "email", squatter, {"value": "squat@example.com", "password": "Secret123"}, "PUT")
    (pending,) = [mail.code for mail in deliver(post, mailbox)[0] if mail.to == ["squat@example.com"]]
    post.ask_code()
    assert post.reset(deliver(post, mailbox)[0][0].code).status == 200
    assert post.me(squatter).status == 401
    owner = post.token(password="Changed123")
    assert contact(post, "email/verify", owner, {"code": pending}).code == "code_rejected"
    user = post.me(owner).body["user"]
    assert user["email_verified_at"] and user["phone"] == PHONE and user["phone_verified_at"] is None
    deliver(post, mailbox)
    post.ask_code(channel="phone", contact=PHONE)
    post.post("login/code", {"identifier": "ana", "channel": "phone"})
    assert deliver(post, mailbox) == ([], [])
    assert prove(post, mailbox, "phone", owner).status == 200  # the owner may still prove it
    post.ask_code(channel="phone", contact=PHONE)
    assert len(deliver(post, mailbox)[1]) == 1


def adopt(world: World) -> None:
    """Make every account one that came from a legacy file."""
    with world.house.db.write(OPERATOR) as work:
        work.db.exec_driver_sql("UPDATE users SET unproven_contacts = 'adopted'")


def test_adopted_contacts_keep_their_power(post: World, mailbox: Mailbox) -> None:
    adopt(post)
    post.ask_code()
    assert post.reset(deliver(post, mailbox)[0][0].code).status == 200
    post.ask_code(channel="phone", contact=PHONE)
    assert {told["kind"] for told in deliver(post, mailbox)[1]} == {"reset_code", "password_changed"}


def prove_both(world: World) -> None:
    with world.house.db.write(OPERATOR) as work:
        for channel in ("email", "phone"):
            world.house.accounts.prove(work, 1, channel)


def stolen(world: World) -> None:
    first = world.login().body["refresh_token"]
    for _ in range(2):
        body = world.post("refresh", {"refresh_token": first}).body
    world.post("refresh", body)
    world.post("refresh", {"refresh_token": body["refresh_token"]})
    world.clock.advance(minutes=1)
    assert world.post("refresh", {"refresh_token": first}).code == "session_ended"


EVENTS: dict[str, tuple[Callable[[World], Any], str, bool]] = {
    "change": (
        lambda w: w.post(
            "change-password", {"old_password": "Secret123", "new_password": "Changed123"}, token=w.token()
        ),
        "password_changed",
        True,
    ),
    "contact": (
        lambda w: contact(w, "email", w.token(), {"value": "n@example.com", "password": "Secret123"}, "PUT"),
        "contact_changing",
        True,
    ),
    "everywhere": (lambda w: w.post("logout-all", token=w.token()), "sessions_ended", False),
    "device": (lambda w: [w.login(), w.login(headers={"User-Agent": FIREFOX})], "new_device", False),
    "theft": (stolen, "session_copied", True),
}


@pytest.mark.parametrize("name", EVENTS)
def test_the_owner_hears_of_what_matters(post: World, mailbox: Mailbox, name: str) -> None:
    act, kind, everywhere = EVENTS[name]
    prove_both(post)
    act(post)
    mails, texts = deliver(post, mailbox)
    (mail,) = [mail for mail in mails if mail.to == ["ana@example.com"]]
    assert [told["kind"] for told in texts] == [kind] * everywhere
    assert not [told for told in texts if {"address", "device", "at"} & set(told)]  # no more than the text says
    assert all(link_of(mail) in told["text"] for told in texts)
    assert post.rows(f"SELECT DISTINCT kind FROM messages WHERE code_id IS NULL") == [(kind,)]  # noqa: F541
    assert link_of(mail) in mail.html and "127.0.0.1" in mail.text
    done = post.post("disown", {"token": link_of(mail)})
    assert done.status == 200 and post.login().status == 401
    assert post.login(password="Changed123").status == 401
    assert post.post("disown", {"token": link_of(mail)}).code == "link_rejected"
    post.ask_code()
    assert post.reset(deliver(post, mailbox)[0][0].code).status == 200
    assert post.login(password="Changed123").status == 200


def test_a_link_of_a_notice_ends_sessions_and_codes_and_then_itself(post: World, mailbox: Mailbox) -> None:
    token = post.token()
    post.login(headers={"User-Agent": FIREFOX})
    post.ask_code()
    mails, _ = deliver(post, mailbox)
    (code,) = [mail.code for mail in mails if re.match(r"\d{6}\s", mail.text)]
    (link,) = [link_of(mail) for mail in mails if "disown" in mail.text]
    for wrong in (
        link[:-1],
        link + "0",
        link.replace("v1.1.", "v1.2."),
        "",
        "v1.1.1.x",
        "v1.1.999999999999." + "0" * 32,
    ):
        assert post.post("disown", {"token": wrong}).code in ("link_rejected", "invalid_request")
    assert contact(post, "email/code", link).status == 401  # no slip is good for another purpose
    assert post.call("GET", "/console/disown").status == 200 and post.me(token).status == 200  # looking does nothing
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post.post("disown", {"token": link}).status, range(4)))
    assert sorted(answers) == [200, 400, 400, 400]
    assert post.me(token).status == 401 and post.reset(code).code == "code_rejected"


def test_a_link_of_a_notice_lives_seven_days(post: World, mailbox: Mailbox) -> None:
    post.login()
    post.login(headers={"User-Agent": FIREFOX})
    link = link_of(deliver(post, mailbox)[0][0])
    post.clock.advance(days=7, seconds=1)
    assert post.post("disown", {"token": link}).code == "link_rejected"


def test_a_link_works_once_even_where_there_is_no_password(post: World, mailbox: Mailbox) -> None:
    prove_both(post)
    assert post.call("POST", "/api/auth/logout-all", token=post.token()).status == 200
    assert post.post("disown", {"token": link_of(deliver(post, mailbox)[0][0])}).status == 200
    post.post("login/code", {"identifier": "ana", "channel": "phone"})
    sign_in(post, deliver(post, mailbox)[1][0]["code"], headers={"User-Agent": FIREFOX})
    link = link_of(deliver(post, mailbox)[0][0])
    assert [post.post("disown", {"token": link}).status for _ in range(2)] == [200, 400]


def move(world: World, mailbox: Mailbox, token: str, to: str, password: str = "Secret123") -> tuple[Answer, list[Any]]:
    """Change the e-mail address; return the answer and the mails that it caused."""
    contact(world, "email", token, {"value": to, "password": password}, "PUT")
    asked, _ = deliver(world, mailbox)
    (code,) = [mail.code for mail in asked if mail.to == [to]]
    done = contact(world, "email/verify", token, {"code": code})
    return done, asked + deliver(world, mailbox)[0]


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("then", ["password", "nothing"])
def test_who_moved_a_contact_is_out_by_the_owners_link(post: World, mailbox: Mailbox, then: str, twice: bool) -> None:
    prove_both(post)
    thief = post.token()
    done, mails = move(post, mailbox, thief, "evil@evil.example")
    assert done.status == 200
    changing, changed = [link_of(mail) for mail in mails if mail.to == ["ana@example.com"]]
    if twice:
        assert move(post, mailbox, thief, "worse@evil.example")[0].status == 200
    password = "Secret123"
    if then == "password":
        password = "Changed123"
        body = {"old_password": "Secret123", "new_password": password}
        assert post.post("change-password", body, token=thief).status == 200
        assert post.post("disown", {"token": changing}).code == "link_rejected"  # it ends with the password
    deliver(post, mailbox)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post.post("disown", {"token": changed}).status, range(4)))
    assert sorted(answers) == [200, 400, 400, 400]
    assert post.me(thief).status == 401 and post.login(password=password).status == 401
    for evil in ("evil@evil.example", "worse@evil.example"):
        post.ask_code(contact=evil)
    assert deliver(post, mailbox) == ([], [])
    post.ask_code(channel="phone", contact=PHONE)  # the way back is the contact that did not move
    code = deliver(post, mailbox)[1][0]["code"]
    assert post.reset(code, channel="phone", contact=PHONE).status == 200


def test_a_link_against_a_change_is_nothing_while_nothing_changed(post: World, mailbox: Mailbox) -> None:
    prove_both(post)
    token = post.token()
    link = link_of([mail for mail in move(post, mailbox, token, "new@example.com")[1] if "changed" in mail.text][-1])
    assert move(post, mailbox, token, "ana@example.com")[0].status == 200  # back again
    for wrong in (link, link.replace(".email.", ".phone."), link[:-1] + ("0" if link[-1] != "0" else "1")):
        assert post.post("disown", {"token": wrong}).code == "link_rejected"
    assert contact(post, "email/code", link).status == 401 and post.me(token).status == 200


def test_a_contact_that_opens_nothing_hears_nothing(post: World, mailbox: Mailbox) -> None:
    post.ask_code(channel="phone", contact=PHONE)
    assert post.reset(deliver(post, mailbox)[1][0]["code"], channel="phone", contact=PHONE).status == 200
    deliver(post, mailbox)
    done, mails = move(post, mailbox, post.token(password="Changed123"), "true@example.com", "Changed123")
    assert done.status == 200 and {mail.to[0] for mail in mails} == {"true@example.com"}


def test_an_owner_whose_phone_takes_no_notices_is_told_by_mail(
    make_world: Callable[..., World], mailbox: Mailbox
) -> None:
    gateway = Gateway("aliyun")  # with templates for codes alone
    world = make_world("production", **mailing(mailbox), **gateway.settings())
    world.register(phone=PHONE)
    with world.house.db.write(OPERATOR) as work:
        world.house.accounts.prove(work, 1, "phone")
    body = {"old_password": "Secret123", "new_password": "Changed123"}
    assert world.post("change-password", body, token=world.token()).status == 200
    assert send_all(world) == 1 and mailbox.mails[-1].to == ["ana@example.com"]
    gateway.close()


@pytest.mark.parametrize(("stored", "told"), [("en", "en"), ("zh-CN", "zh-CN"), (None, "zh-CN")])
def test_notices_speak_the_language_of_the_owner_and_not_of_the_intruder(
    post: World, mailbox: Mailbox, stored: str | None, told: str
) -> None:
    headers = {"Accept-Language": stored or "en"}
    body = {"username": "ben", "email": "ben@example.com", "password": "Secret123"}
    assert post.post("register", body, headers=headers).status == 201
    if stored is None:
        with post.house.db.write(OPERATOR) as work:  # as adopted accounts are
            work.db.exec_driver_sql("UPDATE users SET notice_language = NULL")
    intruder = {"Accept-Language": "en" if told != "en" else "zh-CN"}
    post.call("POST", "/api/auth/logout-all", token=post.token("ben"), headers=intruder)
    (mail,) = deliver(post, mailbox)[0]
    assert mail.message["Content-Language"] == told


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_who_proved_a_telephone_alone_is_told_by_mail_as_well(post: World, mailbox: Mailbox, language: str) -> None:
    with post.house.db.write(OPERATOR) as work:
        post.house.accounts.prove(work, 1, "phone")
        work.db.exec_driver_sql(f"UPDATE users SET notice_language = '{language}'")
    post.post("logout-all", token=post.token())
    mails, texts = deliver(post, mailbox)
    assert [mail.to for mail in mails] == [["ana@example.com"]] and link_of(mails[0])
    assert [told["kind"] for told in texts] == ["sessions_ended"]
    assert ("link" in texts[0]) is (language == "en")  # a Chinese SMS has no room for it


def test_only_a_strange_program_is_told(post: World, mailbox: Mailbox) -> None:
    for version in ("140.0.0.0", "141.0.0.0"):
        post.login(headers={"User-Agent": CHROME.format(version)})
    assert deliver(post, mailbox) == ([], [])
    post.login(headers={"User-Agent": FIREFOX + "\r\n<script>"[2:]})
    (mail,) = deliver(post, mailbox)[0]
    assert "Firefox · Linux" in mail.text and "script" not in mail.text  # N04, N05
    assert not is_strange("anything", []) and is_strange("b", ["a"])


@pytest.mark.parametrize("channel", ["email", "phone"])
def test_where_a_proven_contact_is_demanded_sign_in_gives_a_ticket(
    make_world: Callable[..., World], channel: str
) -> None:
    world = make_world(contact_verification="required")
    world.register(phone=PHONE)
    refused = world.login()
    ticket = refused.body["contact_ticket"]
    assert (refused.status, refused.code) == (403, "contact_unverified") and "access_token" not in refused.body
    assert world.login(password="Wrong1234").body.get("contact_ticket") is None
    assert world.me(ticket).status == 401 and world.post("refresh", {"refresh_token": ticket}).status == 401
    assert world.post("disown", {"token": ticket}).code == "link_rejected"
    wrong = {"value": "typo@example.com", "password": "Wrong1234"}
    assert contact(world, "email", ticket, wrong, "PUT").status == 400
    code = contact(world, f"{channel}/code", ticket).body["debug_code"]
    assert contact(world, f"{channel}/verify", ticket, {"code": code}).status == 200
    assert world.login().status == 200


@pytest.mark.parametrize("change", ["time", "password", "disabled"])
def test_a_ticket_ends(make_world: Callable[..., World], change: str) -> None:
    world = make_world(contact_verification="required")
    world.register()
    ticket = world.login().body["contact_ticket"]
    if change == "time":
        world.clock.advance(minutes=15, seconds=1)
    elif change == "password":
        world.reset(world.ask_code().body["debug_code"])
    else:
        with world.house.db.write(OPERATOR) as work:
            world.house.accounts.disable(work, 1)
    assert contact(world, "email/code", ticket).code == "unauthenticated"


def sign_in(world: World, code: str, username: str = "ana", **more: Any) -> Answer:
    return world.post("login", {"username": username, "code": code}, **more)


@pytest.mark.parametrize("channel", ["email", "phone"])
def test_sign_in_by_a_code_goes_through_a_contact_that_somebody_vouches_for(
    post: World, mailbox: Mailbox, channel: str
) -> None:
    post.post("login/code", {"identifier": "ana", "channel": channel})
    assert deliver(post, mailbox) == ([], [])  # nobody proved it, and whoever planted it knows the password (C26)
    adopt(post)
    asked = post.post("login/code", {"identifier": PHONE, "channel": channel})
    assert asked.status == 200 and set(asked.body) == {"msg", "expires_in"}
    mails, texts = deliver(post, mailbox)
    code = mails[0].code if channel == "email" else texts[0]["code"]
    assert sign_in(post, code, "ben").code == sign_in(post, "000000").code == "wrong_credentials"
    assert post.reset(code, channel=channel).code == "code_rejected"  # a code is good for its purpose alone
    done = sign_in(post, code, "ana@example.com")
    assert done.status == 200 and done.body["user"][f"{channel}_verified_at"]
    assert post.me(done.body["access_token"]).status == 200
    assert sign_in(post, code).status == 401


def test_a_sign_in_code_is_tried_five_times_and_won_once(post: World, mailbox: Mailbox) -> None:
    adopt(post)

    def code() -> str:
        post.post("login/code", {"identifier": "ana", "channel": "email"})
        return str(deliver(post, mailbox)[0][0].code)

    real = code()
    for guess in range(5):
        sign_in(post, f"{(int(real) + guess + 1) % 10**6:06d}", address=f"198.51.100.{guess}")
    assert sign_in(post, real, address="192.0.2.1").status == 401
    real = code()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: sign_in(post, real, address=f"192.0.2.{n}").status, range(4)))
    assert sorted(answers) == [200, 401, 401, 401]


def test_without_the_setting_a_code_signs_nobody_in(make_world: Callable[..., World]) -> None:
    world = make_world("production")
    world.register()
    assert world.post("login/code", {"identifier": "ana", "channel": "email"}).status == 404
    assert world.post("login", {"username": "ana", "code": "123456"}).faults == {("password", "missing")}
    assert "/api/auth/login/code" not in world.call("GET", "/openapi.json").body["paths"]


@pytest.mark.parametrize("body", [{}, {"code": ""}, {"password": None}, {"code": " ", "password": ""}])
def test_a_sign_in_needs_a_name_and_a_password_or_code(post: World, body: dict[str, Any]) -> None:
    assert post.post("login", body).faults == {("username", "missing"), ("password", "missing")}


NUMBERS = {
    "ben": None,
    "dis": "13900139000",
    "thr": "13600136000",
    "old": "13400134000",
    "lowphone": "13700137000",
    "lowemail": "13300133000",
    "raw": "13500135000",
}
ASKING = {name: name for name in ("ana", *NUMBERS, "ghost")} | {"by-number": PHONE, "by-address": "ana@example.com"}


@pytest.fixture
def peopled(post: World) -> World:
    ids = {"ana": 1}
    for name, number in NUMBERS.items():
        ids[name] = post.register(name, **({"phone": number} if number else {}))["id"]
    with post.house.db.write(OPERATOR) as work:
        for name in ("ana", "ben", "dis", "thr"):
            for channel in ("email", "phone") if name != "ben" else ("email",):
                post.house.accounts.prove(work, ids[name], channel)
        post.house.accounts.disable(work, ids["dis"])
        post.house.accounts.prove(work, ids["lowphone"], "email", alone=True)
        post.house.accounts.prove(work, ids["lowemail"], "phone", alone=True)
        work.db.exec_driver_sql("UPDATE users SET unproven_contacts = 'adopted' WHERE id = ?", (ids["old"],))
    for channel in ("email", "phone"):
        with post.house.limiter.attempt() as attempt:
            attempt.keep()
            while post.house.limiter.is_spent(attempt, "reset_account", channel, "user", str(ids["thr"])) is None:
                pass
    return post


@pytest.fixture
def down(peopled: World, mailbox: Mailbox) -> Iterator[Callable[[], None]]:
    """Take every provider down, and let the worker find that out."""

    def take_down() -> None:
        mailbox.close()
        peopled.gateway.script = ["down"] * 99  # type: ignore[attr-defined]
        assert send_all(peopled) and send_all(peopled, "phone")
        assert not mailbox.mails and not peopled.gateway.taken  # type: ignore[attr-defined]

    yield take_down
    mailbox.open()


def assert_alike(world: World, acts: dict[str, Callable[[], Answer]], down: Callable[[], None]) -> None:
    """See that all `acts` cost and answer the same, and the first of them once more with all providers down."""
    costs = {name: cost(world, act) for name, act in acts.items()}
    down()
    first = next(iter(acts))
    costs["providers-down"] = cost(world, acts[first])
    assert costs[first][2][0] == 200
    for name, one in costs.items():
        assert_same(one, costs[first], name)


@pytest.mark.parametrize("channel", ["email", "phone"])
def test_e13_asking_for_a_sign_in_code_tells_nothing(peopled: World, down: Callable[[], None], channel: str) -> None:
    def asking(who: str) -> Callable[[], Answer]:
        return lambda: peopled.post("login/code", {"identifier": who, "channel": channel})

    peopled.post("login/code", {"identifier": "ana", "channel": {"email": "phone", "phone": "email"}[channel]})
    assert_alike(peopled, {name: asking(who) for name, who in ASKING.items()}, down)


@pytest.mark.parametrize("channel", ["email", "phone"])
def test_e13_a_code_to_my_own_contact_costs_the_same_whatever_it_is_worth(
    peopled: World, down: Callable[[], None], channel: str
) -> None:
    def asking(who: str) -> Callable[[], Answer]:
        token = peopled.token(who)
        return lambda: contact(peopled, f"{channel}/code", token)

    contact(peopled, "email/code", peopled.token())
    contact(peopled, "phone/code", peopled.token())
    whose = ("ana", "thr", "old", "lowphone", "lowemail", "raw")
    assert_alike(peopled, {name: asking(name) for name in whose}, down)


@pytest.mark.parametrize(
    ("channel", "values"),
    [
        ("email", ("free@example.com", "raw@example.com", "dis@example.com", "ana@example.com", "full@example.com")),
        ("phone", ("13100131000", "13500135000", "13900139000", PHONE, "13000130000")),
    ],
)
def test_e13_a_wish_for_a_contact_does_not_tell_whose_it_is(
    peopled: World, down: Callable[[], None], channel: str, values: tuple[str, ...]
) -> None:
    token = peopled.token()

    def wish(value: str, to: str = channel) -> Callable[[], Answer]:
        return lambda: contact(peopled, to, token, {"value": value, "password": "Secret123"}, "PUT")

    for _ in range(6):
        wish(values[-1])()  # more than its hour allows
    acts = dict(zip(("free", "taken", "disabled", "own", "flooded"), map(wish, values), strict=True))
    assert_alike(peopled, acts, down)


def test_e08_no_request_that_asks_for_a_code_calls_a_provider(
    peopled: World, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = peopled.token()
    doors: dict[str, Callable[[], Answer]] = {
        "reset": lambda: peopled.ask_code(),
        "sign-in": lambda: peopled.post("login/code", {"identifier": "ana", "channel": "phone"}),
        "email": lambda: contact(peopled, "email/code", token),
        "phone": lambda: contact(peopled, "phone/code", token),
        "move": lambda: contact(peopled, "email", token, {"value": "n@b.example", "password": "Secret123"}, "PUT"),
    }
    before = {name: cost(peopled, act) for name, act in doors.items()}
    asked: list[str] = []

    def fail(*_: Any) -> None:
        asked.append("a provider")
        raise RuntimeError

    for courier in [one for found in peopled.house.messages._couriers.values() for one in found]:
        for name in ("send", "greet", "delivered"):
            monkeypatch.setattr(courier, name, fail)
    for name, act in doors.items():
        during = cost(peopled, act)
        assert during[2][0] == 200
        assert_same(during, before[name], name)
    assert not asked and not mailbox.connections and not peopled.gateway.taken  # type: ignore[attr-defined]


@pytest.mark.parametrize("channel", ["email", "phone"])
def test_e13_a_failing_sign_in_by_code_tells_nothing(peopled: World, channel: str) -> None:
    for who in ASKING.values():
        peopled.post("login/code", {"identifier": who, "channel": channel})
    costs = {
        name: cost(peopled, lambda who=who: sign_in(peopled, "000000", who))  # type: ignore[misc]
        for name, who in ASKING.items()
    }
    assert costs["ghost"][2][0] == 401
    for name, one in costs.items():
        assert_same(one, costs["ghost"], name)


def test_c09_codes_grow_with_wrong_tries_and_the_owner_still_gets_in(make_world: Callable[..., World]) -> None:
    world = make_world(**ROOMY)
    world.register()
    lengths, wrong = [], 0
    for _ in range(60):
        code = world.ask_code().body["debug_code"]
        lengths.append(len(code))
        for _ in range(5):
            wrong += world.reset("0" * 6 if code != "0" * 6 else "1" * 6).code == "code_rejected"
        world.clock.advance(hours=2)
    assert wrong == 300
    # 20 wrong tries are four codes, 200 are forty: the codes after those are longer.
    assert lengths == [6] * 5 + [8] * 36 + [12] * 19
    assert world.reset(world.ask_code().body["debug_code"].lower()).status == 200
    world.clock.advance(days=31)
    assert len(world.ask_code().body["debug_code"]) == 6


def test_right_codes_are_no_guesses(make_world: Callable[..., World]) -> None:
    world = make_world(**ROOMY)
    world.register()
    for _ in range(25):
        assert world.reset(world.ask_code().body["debug_code"]).status == 200
    assert len(world.ask_code().body["debug_code"]) == 6


def test_c10_one_guess_at_each_of_many_makes_all_codes_longer(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.register()
    world.register("ben")
    with world.house.db.write(OPERATOR) as work:
        for number in range(201):
            work.db.exec_driver_sql(
                "INSERT INTO password_reset_codes (channel, contact_value, code_hash, expires_at, created_at, subject,"
                " attempts) VALUES ('email', '', '', ?, ?, ?, 1)",
                (str(work.now)[:26], str(work.now)[:26], str(number)),
            )
    code = world.ask_code("ben", contact="ben@example.com").body["debug_code"]
    assert len(code) == 8 and world.reset(code, identifier="ben", contact="ben@example.com").status == 200
    assert "codes_under_attack" in "".join(capfd.readouterr())
    world.clock.advance(hours=1, seconds=1)
    assert len(world.ask_code().body["debug_code"]) == 6
    assert shape_of(0, 0, 500) is Shape.SIX_DIGITS and shape_of(0, 0, 501) is Shape.EIGHT_DIGITS


@pytest.mark.parametrize(("accounts", "guesses"), [(150, 5), (600, 1)])
@pytest.mark.parametrize(("an_hour", "most"), [(10**6, 201), (200, 501)], ids=["greedy", "patient"])
def test_c10_hoarded_codes_give_no_more_guesses_at_six_digits(
    world: World, accounts: int, guesses: int, an_hour: int, most: int
) -> None:
    codes, house, alive = world.house.codes, world.house, 0
    with house.db.write(OPERATOR) as work:
        for number in range(accounts):
            new = NewAccount(f"u{number}", f"u{number}@example.com", None, Role.UNAUTH)
            house.accounts.open(work, new, "")
    subjects = [codes.subject(Purpose.RESET, number + 1, ("email",), ("email", "x")) for number in range(accounts)]
    for _ in range(4):
        with house.db.write(OPERATOR) as work:
            hoard = [(subject, codes.issue(work, subject).plain) for subject in subjects]
            for subject, plain in (hoard * guesses)[:an_hour]:
                with work.db.begin_nested() as undone:  # could this guess have been right?
                    alive += len(plain) == 6 and codes.spend(work, subject, plain).right
                    undone.rollback()
                codes.spend(work, subject, "000000" if plain != "000000" else "000001")
        world.clock.advance(minutes=61)
    assert alive == most  # of a million each: 5e-4 accounts a day


def test_c10_a_short_code_from_before_the_attack_is_asked_for_anew(world: World) -> None:
    world.register()
    short = world.ask_code().body["debug_code"]
    with world.house.db.write(OPERATOR) as work:
        world.house.codes.issue(work, world.house.codes.subject(Purpose.RESET, None, ("x",), ("email", "x")))
        work.db.exec_driver_sql("UPDATE password_reset_codes SET attempts = 201 WHERE user_id IS NULL")
    assert world.reset(short).code == "code_rejected"
    assert len(code := world.ask_code().body["debug_code"]) == 8 and world.reset(code).status == 200
