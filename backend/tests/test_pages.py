"""The pages in a real Chromium, against a real server, worker, SMTP server and SMS gateway: `python dev.py e2e`."""

import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from gateways import Gateway, Mailbox
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright
from test_attacks_messages import WorkerProcess, until

from conftest import SECRET
from servers import BACKEND, Server, environment_of, free_port

pytestmark = [pytest.mark.pages, pytest.mark.timeout(300)]
AXE = BACKEND.parent / "frontend/node_modules/axe-core/axe.min.js"
SHOTS = os.environ.get("YAOSHI_SHOTS")
SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1440, "height": 900}}
PASSWORD, PHONE = "Secret123", "13800138000"
EXPECTED = re.compile(r"Failed to load resource")  # Chromium says so of every refusal


TITLES = {
    "signin": ("登录", "Sign in"),
    "register": ("注册账号", "Create an account"),
    "forgot": ("重置密码", "Reset your password"),
    "verify": ("验证联系方式", "Verify a contact"),
    "disown": ("这不是我本人操作", "This was not me"),
    "home": ("首页", "Home"),
    "account": ("账号", "Account"),
    "lost": ("无法连接", "No connection"),
    "not-found": ("页面不存在", "Page not found"),
}


@dataclass
class Site:
    """A server with pages, and everything that goes out of it."""

    server: Server
    mailbox: Mailbox
    gateway: Gateway
    browser: Browser
    name: str = "Yaoshi"
    problems: list[str] = field(default_factory=list)

    def visitor(self, language: str = "en", size: str = "desktop", theme: Any = "light") -> BrowserContext:
        """Return a browser of its own, as somebody has it who never was here."""
        context = self.browser.new_context(locale=language, viewport=SIZES[size], color_scheme=theme)  # type: ignore[arg-type]
        context.on("console", lambda said: self.complain(said.type, said.text))
        context.on("weberror", lambda error: self.complain("error", str(error.error)))
        return context

    def complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not EXPECTED.search(text):
            self.problems.append(text)

    def register(self, name: str = "ana", **more: str) -> None:
        body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, **more}
        assert self.server.post("register", body).status_code == 201

    def mails(self, to: str) -> list[Any]:
        return [mail for mail in self.mailbox.mails if mail.to == [to]]

    def code(self, to: str, seen: int) -> str:
        """Return the code that comes to an address or number after `seen` of them."""

        def found() -> list[str]:
            if "@" in to:
                return [mail.code for mail in self.mails(to) if re.match(r"\d{6}\s", mail.text)]
            return [told["code"] for told in self.gateway.taken if told["to"] == to and "code" in told]

        until(lambda: len(found()) > seen)
        return found()[-1]


@pytest.fixture
def site(start_server: Callable[..., Server]) -> Iterator[Site]:
    mailbox, gateway = Mailbox(), Gateway("webhook")
    texting = {f"YAOSHI_{name.upper()}": str(value) for name, value in gateway.settings().items()}
    environment = {
        "FLASK_ENV": "development",
        "YAOSHI_SMTP_URL": mailbox.url,
        "YAOSHI_MAIL_FROM": "no-reply@example.org",
        "YAOSHI_EMBEDDED_WORKER": "false",
        "YAOSHI_INSTALLATION_NAME": "药师平台",
        "YAOSHI_CONTACT_VERIFICATION": "asked",
        **{
            f"YAOSHI_LIMIT_{name}": "1000/hour"
            for name in ("RESET_ADDRESS", "RESET_ACCOUNT", "CONTACT_ACCOUNT", "REFRESH_SESSION")
        },
        **texting,
    }
    server = start_server(**environment)
    worker = WorkerProcess(server.instance, environment)
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        made = Site(server, mailbox, gateway, browser, "药师平台")
        yield made
        browser.close()
    assert worker.stop() in (0, -signal.SIGTERM)  # the latter when it had hardly begun
    mailbox.close()
    gateway.close()
    assert not made.problems


class Visit:
    """One page of a visitor; `look` judges and keeps what is on the screen."""

    def __init__(self, site: Site, context: BrowserContext, label: str) -> None:
        self.site, self.label, self.page = site, label, context.new_page()

    def go(self, path: str) -> None:
        self.page.goto(f"{self.site.server.url}/console{path}")

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.page.locator(f"[name={name}]:visible").last.fill(value)

    def submit(self) -> None:
        self.page.locator("button[type=submit]:visible").last.click()

    def look(self, name: str, title: str) -> None:
        """No axe violation in light or dark, nothing wider than the screen, the language everywhere the chosen one."""
        page, (language, _, size) = self.page, self.label.partition(" ")
        page.locator("h1").first.wait_for()
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            found = page.evaluate(
                AXE.read_text("utf-8")
                + "; axe.run().then(found => found.violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
            )
            assert not found, (name, theme, found)
            if SHOTS:
                page.mouse.move(0, 0)
                page.screenshot(path=Path(SHOTS) / f"{name}-{self.label.replace(' ', '-')}-{theme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.evaluate("document.documentElement.lang") == language
        assert page.title() == f"{TITLES[title][language == 'en']} · {self.site.name}"
        if size == "phone":  # what is typed into is drawn in the font of the page
            fonts = "[...document.querySelectorAll('input:not([type=radio]):not([hidden]), body')].map(one => getComputedStyle(one).fontFamily)"
            assert len(set(page.evaluate(fonts))) == 1
        chinese = bool(re.search("[一-鿿]", page.locator("main").inner_text()))
        assert chinese is (language == "zh-CN"), name


def kept_of(page: Page) -> Any:
    """Return what of ours a tab keeps."""
    return page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('yaoshi.'))")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_a_whole_visit(site: Site, language: str, size: str) -> None:
    context = site.visitor(language, size)
    visit = Visit(site, context, f"{language} {size}")
    page = visit.page
    page.goto(site.server.url + "/")
    expect(page).to_have_url(re.compile("/console/signin$"))
    expect(page.locator("[name=username]")).to_be_focused()
    visit.look("signin", "signin")

    page.locator("a[href$='/register']").click()
    visit.submit()
    expect(page.locator("[aria-invalid=true]")).to_have_count(3)
    visit.fill(username="ana", email="ana@example.com", phone=PHONE, password="weak")
    page.locator("[name=role][value=pharmacy]").check()
    page.reload()
    expect(page.locator("[name=role][value=pharmacy]")).to_be_checked()
    expect(page.locator("[name=password]")).to_have_value("")  # a secret is kept nowhere
    visit.fill(password="weak")
    visit.submit()
    expect(page.locator("[aria-invalid=true]")).to_have_count(1)
    expect(page.locator("[name=email]")).to_have_value("ana@example.com")
    visit.look("register", "register")
    visit.fill(password=PASSWORD)
    expect(page.locator(".rules .good")).to_have_count(4)
    page.route("**/api/auth/register", lambda route: route.abort())
    visit.submit()
    expect(page.get_by_role("alert")).to_be_in_viewport()
    visit.look("register-no-connection", "register")
    page.unroute("**/api/auth/register")
    visit.submit()
    expect(page.locator("main [role=status]")).to_be_focused()
    visit.look("register-done", "register")
    page.locator("main [role=status] a").click()

    expect(page.locator("[name=username]")).to_have_value("ana")
    visit.fill(password="Wrong1234")
    visit.submit()
    expect(page.get_by_role("alert")).to_be_in_viewport()
    assert page.evaluate("document.activeElement !== document.body")
    visit.look("signin-refused", "signin")
    visit.fill(password=PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/console/$"))
    expect(page.locator("h1")).to_contain_text("ana")
    visit.look("home", "home")

    page.locator("nav a[href$='/account']").click()
    for number, to in ((0, "ana@example.com"), (1, "+8613800138000")):
        part = page.locator("main ul.list").nth(1).locator("> li").nth(number)
        part.locator("button.link").first.click()
        part.locator(".ask button").click()
        expect(part.locator("[name=code]")).to_be_focused()
        visit.fill(code=" ".join(chr(ord(digit) + 0xFEE0) for digit in site.code(to, 0)))  # full-width, and apart
        if number == 0:
            visit.look("account-verify", "account")
        part.locator("button[type=submit]").click()
        expect(part.locator("form")).to_have_count(0)
        expect(part.locator(".good")).to_be_visible()
    year = datetime.now(UTC).year
    date = {"zh-CN": rf"{year}年\d+月\d+日 \d\d:\d\d", "en": rf"[A-Z][a-z]+ \d+, {year} at \d+:\d\d [AP]M"}[language]
    expect(page.locator("main ul.list").first.locator("li").last).to_have_text(re.compile(date + "$"))
    expect(page.locator("main time")).to_have_text(re.compile(date))
    visit.look("account", "account")

    part = page.locator("main ul.list").nth(1).locator("> li").first
    part.locator("button.link").last.click()
    part.locator("[name=value]").fill("new@example.com")
    part.locator("[name=password]").fill(PASSWORD)
    part.locator(".ask button").click()
    part.locator("[name=code]").fill(site.code("new@example.com", 0))
    part.locator("button[type=submit]").click()
    expect(part).to_contain_text("new@example.com")

    visit.fill(old_password="Wrong1234", new_password=PASSWORD)
    page.locator("form:has([name=new_password]) button[type=submit]").click()
    expect(page.locator("[name=old_password]")).to_have_attribute("aria-invalid", "true")
    visit.fill(old_password=PASSWORD, new_password="Changed123")
    page.locator("form:has([name=new_password]) button[type=submit]").click()
    expect(page).to_have_url(re.compile("signin.*why=changed"))
    page.go_back()
    expect(page.locator("main")).not_to_contain_text("new@example.com")

    visit.go("/forgot")
    page.locator("[name=channel][value=email]").check()
    visit.fill(identifier="ana", contact="new@example.com")
    page.locator(".ask button").click()
    visit.fill(code=site.code("new@example.com", 1), new_password="Again1234")
    visit.look("forgot", "forgot")
    visit.submit()
    expect(page.locator("main form")).to_have_count(0)
    expect(page.locator("main [role=status]")).to_be_focused()
    visit.look("forgot-done", "forgot")
    page.locator("main a[href$='/signin']").click()

    page.locator("[name=how][value=code]").check()
    visit.fill(username=PHONE)
    page.locator("[name=channel][value=phone]").check()
    page.locator(".ask button").click()
    visit.fill(code=site.code("+8613800138000", 1))
    visit.look("signin-by-code", "signin")
    visit.submit()
    expect(page).to_have_url(re.compile("/console/$"))

    until(lambda: any("disown" in mail.text for mail in site.mails("new@example.com")))
    told = [mail for mail in site.mails("new@example.com") if "disown" in mail.text][-1]
    link = re.search(r"/console(/disown#\S+)", told.text)
    assert link
    visit.go(link[1])
    visit.look("disown", "disown")
    page.locator("main button").first.click()
    expect(page.get_by_role("status")).to_be_focused()
    assert kept_of(page) == []
    visit.look("disown-done", "disown")
    page.evaluate("location.hash = '#another'")  # a second link in the same tab is another question
    page.locator("main button").first.click()
    expect(page.get_by_role("alert")).to_be_visible()
    visit.go("/account")
    expect(page).to_have_url(re.compile("signin"))
    visit.go("/signin?why=ended&to=/account")
    visit.look("signin-ended", "signin")
    page.route("**/api/auth/refresh", lambda route: route.abort())
    visit.go("/account")
    expect(page.locator("h1")).to_be_visible()
    visit.look("no-connection", "lost")
    page.unroute("**/api/auth/refresh")
    visit.go("/no/such/page")
    visit.look("not-found", "not-found")
    context.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_a_contact_that_is_demanded_is_proven_on_the_way_in(
    start_server: Callable[..., Server], language: str, size: str
) -> None:
    server = start_server(FLASK_ENV="development", YAOSHI_CONTACT_VERIFICATION="required", YAOSHI_RESEND_SECONDS="60")
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        site = Site(server, None, None, browser)  # type: ignore[arg-type]
        site.register()
        visit = Visit(site, site.visitor(language, size), f"{language} {size}")
        visit.go("/signin")
        visit.fill(username="ana", password=PASSWORD)
        visit.submit()
        expect(visit.page).to_have_url(re.compile("/verify$"))
        again = visit.page.locator(".ask button")
        visit.page.locator("[name=channel][value=phone]").check()  # of which this account has none
        again.click()
        expect(visit.page.get_by_role("alert")).to_have_text(re.compile("换一个联系方式|Use another one"))
        visit.page.locator("[name=channel][value=email]").check()
        again.click()
        shown = visit.page.locator(".ask .quiet").inner_text()
        expect(again).to_be_disabled()
        visit.look("verify", "verify")
        visit.page.reload()  # neither the countdown, nor what was said, nor the way on is forgotten
        expect(again).to_be_disabled()
        expect(visit.page.locator(".ask .quiet")).to_have_text(shown)
        expect(again).to_contain_text(re.compile(r"\d"))
        visit.fill(code=re.search(r"\d{6}", shown)[0])  # type: ignore[index]
        visit.submit()
        expect(visit.page.locator("main form")).to_have_count(0)
        expect(visit.page.get_by_role("status")).to_be_focused()
        visit.look("verify-done", "verify")
        visit.page.locator("main a[href$='/signin']").click()
        visit.fill(username="ana", password=PASSWORD)
        visit.submit()
        expect(visit.page).to_have_url(re.compile("/console/$"))
        assert not site.problems
        browser.close()


def test_two_tabs_go_on_over_fifty_expiries_and_out_together(site: Site) -> None:
    site.register()
    context = site.visitor()
    context.clock.install()
    one, two = Visit(site, context, "one"), Visit(site, context, "two")
    one.go("/signin")
    one.fill(username="ana", password=PASSWORD)
    one.submit()
    expect(one.page).to_have_url(re.compile("/console/$"))
    two.go("/")  # from there the account page is a step: where one is already, a link does nothing
    expect(two.page.locator("h1")).to_be_visible()
    held: list[Route] = []
    context.route("**/api/auth/refresh", lambda route: held.append(route))

    def asking() -> bool:
        one.page.wait_for_timeout(10)
        return bool(held)

    for _ in range(50):
        context.clock.fast_forward("16:00")  # past the access token: both tabs renew at once
        # The account page asks for the devices, which needs a token that holds. Told by events, since Chromium waits
        # for a second of the clock that stands still before it clicks.
        for visit in (one, two):
            visit.page.locator("nav a[href$='/account']").dispatch_event("click")
        asked = set()
        for _ in (one, two):
            until(asking)
            one.page.wait_for_timeout(20)
            [refresh] = held  # while it has no answer, the other tab waits for its turn
            asked.add(refresh.request.frame.page)
            held.clear()
            refresh.continue_()
        assert asked == {one.page, two.page}
        for visit in (one, two):
            expect(visit.page.locator("strong.good")).to_be_visible()
            visit.page.locator("nav a").first.dispatch_event("click")
    context.unroute("**/api/auth/refresh")
    one.page.locator("nav button").first.click()
    for visit in (one, two):
        expect(visit.page).to_have_url(re.compile("signin"))


def test_a_session_that_ends_elsewhere_is_told_kindly(site: Site) -> None:
    site.register()
    visit = Visit(site, site.visitor(), "en desktop")
    visit.go("/signin?to=/account")
    visit.fill(username="ana", password=PASSWORD)
    visit.submit()
    expect(visit.page).to_have_url(re.compile("/console/account"))
    visit.page.locator("button.link", has_text="Change").first.click()
    visit.fill(value="new@example.com")
    other = Visit(site, visit.page.context, "en desktop")
    other.go("/signin")  # whoever is signed in is taken on
    expect(other.page).to_have_url(re.compile("/console/$"))
    end_all(site)
    visit.page.locator("main button:has-text('everywhere')").click()
    expect(visit.page).to_have_url(re.compile("signin.*why=ended"))
    expect(other.page).to_have_url(re.compile("signin"))  # the tabs agree
    expect(visit.page.locator("main .notice")).to_be_visible()
    visit.fill(username="ana", password=PASSWORD)
    visit.submit()
    expect(visit.page).to_have_url(re.compile("/console/account"))
    expect(visit.page.locator("[name=value]")).to_have_value("new@example.com")  # a draft outlives the session
    for part in ("this device", "everywhere"):
        assert kept_of(visit.page)
        row = visit.page.locator("main li", has_text="this device").locator("button")
        (row if part == "this device" else visit.page.locator("button", has_text=part)).click()
        expect(visit.page).to_have_url(re.compile("signin"))
        assert kept_of(visit.page) == []
        visit.go("/signin?to=/account")
        visit.fill(username="ana", password=PASSWORD)
        visit.submit()
        visit.page.locator("button.link", has_text="Change").first.click()


def test_contact_forms_keep_to_themselves(site: Site) -> None:
    site.register(phone=PHONE)
    site.register("ben")
    context = site.visitor()
    visit = Visit(site, context, "en desktop")
    page = visit.page
    visit.go("/signin?to=/account")
    visit.fill(username="ana", password=PASSWORD)
    visit.submit()
    email, phone = (page.locator("main ul.list").nth(1).locator("> li").nth(number) for number in range(2))
    email.locator("button.link", has_text="Verify").click()
    page.keyboard.press("Enter")  # no code yet, so Enter asks for one
    expect(email.locator(".ask .good")).to_be_visible()
    email.locator("button.link", has_text="Change").click()
    expect(email.locator(".ask .good")).to_have_count(0)  # that code was for the old address
    expect(email.locator("[name=value]")).to_have_attribute("autocomplete", "email")
    expect(email.locator("[name=value]")).to_be_focused()
    visit.fill(value="not an address", password="Wrong1234")
    page.keyboard.press("Enter")
    expect(email.locator("[aria-invalid=true]")).to_have_count(2)
    page.reload()
    expect(email.locator("[name=value]")).to_have_value("not an address")
    expect(email.locator("[name=password]")).to_have_value("")
    phone.locator("button.link", has_text="Change").click()
    expect(page.locator("[aria-invalid=true], [name=value][type=email]")).to_have_count(0)
    visit.fill(password=PASSWORD)
    other = context.new_page()
    # Else whoever is signed in would be taken on from there.
    other.route("**/api/auth/refresh", lambda route: route.abort())
    other.goto(f"{site.server.url}/console/signin")
    other.locator("[name=username]").fill("ben")
    other.locator("[name=password]").fill(PASSWORD)
    other.keyboard.press("Enter")
    expect(other.locator("h1")).to_contain_text("ben")
    expect(page.locator("main ul.list").first).to_contain_text("ben")
    expect(page.locator("[name=password]")).to_have_count(0)  # what ana typed went with her
    email.locator("button.link", has_text="Change").click()
    email.locator("button.link", has_text="Cancel").click()
    expect(page.locator("h2:focus")).to_have_count(1)
    context.close()


def test_devices_end_all_but_this_one(site: Site) -> None:
    site.register()
    for _ in range(2):
        site.server.login("ana")
    visit = Visit(site, site.visitor(), "en desktop")
    visit.go("/signin?to=/account")
    visit.fill(username="ana", password=PASSWORD)
    visit.submit()
    rows = visit.page.locator("main ul.list").last.locator("> li")
    expect(rows).to_have_count(3)
    expect(rows.first.locator("time")).to_contain_text("Last seen just now · ")
    agents = {"CriOS": "Chrome · iPhone", "FxiOS": "Firefox · iPhone", "EdgiOS": "Edge · iPhone"}
    for sign in agents:
        agent = f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 {sign}/120 Mobile Safari/604"
        site.server.post("login", {"username": "ana", "password": PASSWORD}, headers={"User-Agent": agent})
    visit.page.reload()
    for called in agents.values():
        expect(rows.filter(has_text=called)).to_have_count(1)
    # One ends elsewhere meanwhile, one can't be ended: what is left is shown, and tried again.
    expect(rows).to_have_count(6)
    dropped: list[str] = []

    def drop_one(route: Route) -> None:
        if route.request.method == "DELETE" and not dropped:
            dropped.append(route.request.url)
            route.abort()
        elif route.request.method == "DELETE" and len(dropped) == 1:
            dropped.append(route.request.url)
            route.fulfill(status=404, json={"code": "no_such_session", "msg": "It is over."})
        else:
            route.continue_()

    visit.page.route("**/api/auth/sessions/*", drop_one)
    visit.page.locator("button", has_text="all others").click()
    expect(visit.page.get_by_role("alert")).to_be_in_viewport()
    expect(rows).to_have_count(3)  # this one, the one that was dropped, and the one whose answer was made up
    visit.page.get_by_role("alert").get_by_role("button").click()
    expect(rows).to_have_count(1)
    expect(visit.page.get_by_role("status")).to_have_text("5 other devices are signed out.")
    visit.page.get_by_role("button", name="中文").click()
    expect(visit.page.get_by_role("status")).to_have_text("已退出其他 5 台设备。")


def test_pages_offer_what_the_server_can(start_server: Callable[..., Server]) -> None:
    with Mailbox() as mailbox, sync_playwright() as browsers:
        settings = {"YAOSHI_SMTP_URL": mailbox.url, "YAOSHI_MAIL_FROM": "no-reply@example.org"}
        settings["PUBLIC_URL"] = "https://id.example.org"
        settings["YAOSHI_INSTALLATION_LOGO"] = str(BACKEND.parent / "frontend/public/icon.svg")
        server = start_server(FLASK_ENV="production", SECRET_KEY=SECRET, **settings)
        browser = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        site = Site(server, mailbox, None, browser)  # type: ignore[arg-type]
        page = site.visitor().new_page()
        page.goto(f"{server.url}/console/forgot?to=/account")
        page.wait_for_function("document.querySelector('header img')?.naturalWidth > 0")
        expect(page.locator("[name=contact]")).to_have_attribute("type", "email")
        expect(page.locator("[name=channel]")).to_have_count(0)
        expect(page.locator("[name=new_password]")).to_have_attribute("autocomplete", "new-password")
        page.locator("a[href*='/signin']").click()
        expect(page).to_have_url(re.compile(r"signin\?to=/account$"))
        expect(page.locator("[name=username]")).to_be_focused()
        expect(page.locator("[name=how]")).to_have_count(0)
        browser.close()


def test_a_mistyped_contact_is_no_dead_end(start_server: Callable[..., Server]) -> None:
    server = start_server(FLASK_ENV="development", YAOSHI_CONTACT_VERIFICATION="required")
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        site = Site(server, None, None, browser)  # type: ignore[arg-type]
        site.register()
        visit = Visit(site, site.visitor(), "en desktop")
        visit.go("/signin?to=/account")
        visit.fill(username="ana", password=PASSWORD)
        visit.submit()
        visit.page.locator("[name=channel][value=email]").check()
        visit.page.locator("button.link", has_text="another").click()
        visit.fill(value="right@example.com", password=PASSWORD)
        visit.submit()
        shown = visit.page.locator(".ask .quiet").inner_text()
        visit.fill(code=re.search(r"\d{6}", shown)[0])  # type: ignore[index]
        visit.submit()
        visit.page.locator("main a[href*='/signin']").click()
        visit.fill(username="right@example.com", password=PASSWORD)
        visit.submit()
        expect(visit.page).to_have_url(re.compile("/console/account$"))
        assert not site.problems
        browser.close()


def end_all(site: Site) -> None:
    """End every session of ana, from elsewhere."""
    token = site.server.login("ana", PASSWORD).json()["access_token"]
    site.server.say("POST", "/api/auth/logout-all", headers={"Authorization": f"Bearer {token}"})


def test_a_tab_that_slept_asks_again(site: Site) -> None:
    site.register()
    visit = signed_in(site)
    end_all(site)
    visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(visit.page).to_have_url(re.compile("signin"))
    visit = signed_in(site)
    visit.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(visit.page.locator("h1")).to_contain_text("ana")
    end_all(site)
    visit.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(visit.page).to_have_url(re.compile("signin"))


def test_a_language_is_chosen_for_all_tabs(site: Site) -> None:
    context = site.visitor()
    one, two = Visit(site, context, "one"), Visit(site, context, "two")
    one.go("/signin")
    two.go("/signin")
    one.page.get_by_role("button", name="中文").click()
    expect(two.page.locator("h1")).to_have_text("登录")


def test_caps_lock_is_told(site: Site) -> None:
    visit = Visit(site, site.visitor(), "en desktop")
    visit.go("/signin")
    for on in (True, False):
        visit.page.locator("[name=password]").dispatch_event("keyup", {"key": "A", "modifierCapsLock": on})
        expect(visit.page.get_by_text("Caps lock is on.")).to_have_count(int(on))


def signed_in(site: Site, to: str = "/") -> Visit:
    visit = Visit(site, site.visitor(), "en desktop")
    visit.go(f"/signin?to={to}")
    visit.fill(username="ana", password=PASSWORD)
    visit.submit()
    expect(visit.page).to_have_url(re.compile(f"/console{to}$"))
    return visit


def test_a_sign_out_that_did_not_get_through_is_not_shown_as_one(site: Site) -> None:
    site.register()
    visit = signed_in(site)
    visit.page.context.set_offline(True)
    visit.page.locator("nav button").first.click()
    again = visit.page.get_by_role("alert").get_by_role("button")
    expect(again).to_be_visible()
    visit.page.context.set_offline(False)
    again.click()
    expect(visit.page).to_have_url(re.compile("/console/signin$"))
    assert kept_of(visit.page) == []
    visit.go("/")
    expect(visit.page).to_have_url(re.compile("/console/signin"))


def test_a_server_that_refuses_for_now_is_told_and_asked_again(start_server: Callable[..., Server]) -> None:
    server = start_server(FLASK_ENV="development", YAOSHI_LIMIT_REFRESH_SESSION="1/minute")
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        site = Site(server, None, None, browser)  # type: ignore[arg-type]
        site.register()
        visit = signed_in(site)
        visit.page.reload()  # the one refresh of this minute
        expect(visit.page.locator("h1")).to_contain_text("ana")
        visit.page.reload()
        expect(visit.page.get_by_role("alert")).to_contain_text("Too many")
        expect(visit.page).to_have_title("Not available right now · Yaoshi")
        visit.page.get_by_role("button", name="Try again").click()
        expect(visit.page.get_by_role("alert")).to_contain_text("Too many")
        assert not site.problems
        browser.close()


def test_a_session_that_ended_while_the_line_was_down_leads_to_the_door(site: Site) -> None:
    site.register()
    visit = signed_in(site)
    visit.page.route("**/api/auth/refresh", lambda route: route.abort())
    visit.go("/account")
    again = visit.page.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    end_all(site)
    visit.page.unroute("**/api/auth/refresh")
    again.click()
    expect(visit.page).to_have_url(re.compile(r"signin\?to=/account$"))


def test_an_answer_that_comes_late_signs_nobody_in_again(site: Site) -> None:
    site.register()
    visit, held = signed_in(site), []
    visit.page.route("**/api/auth/me", lambda route: held.append(route))
    other = visit.page.context.new_page()
    # Else whoever is signed in would be taken on from there.
    other.route("**/api/auth/refresh", lambda route: route.abort())
    other.goto(f"{site.server.url}/console/signin")
    other.locator("[name=username]").fill("ana")
    other.locator("[name=password]").fill(PASSWORD)
    with visit.page.expect_request("**/api/auth/me"):
        other.keyboard.press("Enter")  # the first tab hears of it, and asks
    expect(other).to_have_url(re.compile("/console/$"))
    other.locator("nav button").first.click()
    expect(visit.page).to_have_url(re.compile("signin"))
    body = {"user": {"id": 1, "username": "ana", "email": "a@b.example", "role": "unauth"}}
    held[0].fulfill(json=body)  # what the server said before
    visit.page.wait_for_timeout(300)
    expect(visit.page).to_have_url(re.compile("signin"))


def test_a_new_page_begins_at_its_first_field_or_heading(site: Site) -> None:
    site.register()
    visit = signed_in(site)
    visit.page.locator("nav a[href$='/account']").press("Enter")
    expect(visit.page.locator("h1")).to_have_text("Account")
    visit.page.locator("nav button").first.press("Enter")
    expect(visit.page.locator("[name=username]")).to_be_focused()
    visit.page.locator("a[href$='/forgot']").press("Enter")
    expect(visit.page.locator("[name=identifier]")).to_be_focused()


def test_a_server_that_goes_away_loses_nobodys_form(site: Site) -> None:
    visit = Visit(site, site.visitor(size="phone"), "en phone")
    visit.go("/register")
    visit.fill(username="ana", email="ana@example.com", password=PASSWORD)
    site.server.stop()
    visit.submit()
    again = visit.page.get_by_role("alert").get_by_role("button")
    expect(again).to_be_in_viewport()
    site.server.start()
    again.click()
    expect(visit.page.locator("main [role=status] a")).to_be_visible()
    assert site.server.login("ana", PASSWORD).status_code == 200


@pytest.mark.parametrize("minutes", [-10, 10])
def test_offline_and_back_with_a_clock_that_is_set_wrong(site: Site, minutes: int) -> None:
    site.register()
    context = site.visitor()
    context.clock.install()
    visit = Visit(site, context, "en desktop")
    visit.go("/signin")
    visit.fill(username="ana", password=PASSWORD)
    visit.submit()
    expect(visit.page).to_have_url(re.compile("/console/$"))
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    began = visit.page.evaluate("Date.now()")
    for gone, refreshes in ((8, 0), (16, 1)):  # of the fifteen minutes of an access token
        context.clock.fast_forward("08:00")
        context.clock.set_system_time(began + (gone + minutes) * 60_000)
        visit.page.locator("nav a[href$='/account']").dispatch_event("click")
        expect(visit.page.locator("strong.good")).to_be_visible()
        assert sum(url.endswith("/refresh") for url in asked) == refreshes
        visit.page.locator("nav a").first.dispatch_event("click")
    context.set_offline(True)
    visit.page.locator("nav button").first.dispatch_event("click")
    again = visit.page.get_by_role("alert").get_by_role("button")
    expect(again).to_be_visible()
    context.set_offline(False)
    again.dispatch_event("click")
    expect(visit.page).to_have_url(re.compile("signin"))


def test_a_keyboard_alone_gets_in(site: Site) -> None:
    site.register()
    visit = Visit(site, site.visitor(), "en desktop")
    visit.go("/signin")
    expect(visit.page.locator("[name=username]")).to_be_focused()
    visit.page.keyboard.type("ana")
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.type(PASSWORD)
    visit.page.keyboard.press("Enter")
    expect(visit.page).to_have_url(re.compile("/console/$"))


def test_the_first_page_is_small_and_keeps_no_token(site: Site) -> None:
    visit = Visit(site, site.visitor(), "en desktop")
    got: list[tuple[str, int]] = []
    visit.page.on("response", lambda answer: got.append((answer.url, len(gzip.compress(answer.body())))))
    visit.go("/signin")
    visit.page.wait_for_load_state("networkidle")
    scripts = sum(size for url, size in got if url.endswith(".js"))
    styles = sum(size for url, size in got if url.endswith(".css"))
    assert scripts <= 150_000 and styles <= 40_000 and len(got) <= 12, (scripts, styles, [url for url, _ in got])
    site.register()
    visit.fill(username="ana", password=PASSWORD)
    visit.submit()
    expect(visit.page).to_have_url(re.compile("/console/$"))
    kept = visit.page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert "v1." not in kept and "eyJ" not in kept and PASSWORD not in kept


def test_the_client_as_its_readme_installs_it_in_node(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server(FLASK_ENV="development", YAOSHI_LIMIT_REFRESH_SESSION="1000/minute")
    client = BACKEND.parent / "client"
    (tmp_path / "package.json").write_text('{"type": "module"}')
    pack = ["npm", "pack", "--silent", "--pack-destination", str(tmp_path)]
    assert subprocess.run(pack, cwd=client, capture_output=True, timeout=60).returncode == 0
    [packed] = tmp_path.glob("*.tgz")
    install = ["npm", "install", "--silent", "--offline", "--no-audit", "--no-fund", str(packed)]
    assert subprocess.run(install, cwd=tmp_path, timeout=60).returncode == 0
    shutil.copy(client / "test.mjs", tmp_path)
    done = subprocess.run(["node", "test.mjs", server.url], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "ok", done.stdout + done.stderr


def test_the_minimal_example_through_its_proxy(start_server: Callable[..., Server]) -> None:
    example, port = BACKEND.parent / "examples/vue-minimal", free_port()
    server = start_server(FLASK_ENV="development")
    assert subprocess.run(["npm", "ci", "--silent"], cwd=example, timeout=200).returncode == 0
    words = ["node", "node_modules/vite/bin/vite.js", "--host", "127.0.0.1", "--port", str(port), "--strictPort"]
    vite = subprocess.Popen(words, cwd=example, env=os.environ | {"YAOSHI": server.url}, stdout=subprocess.DEVNULL)
    try:
        with sync_playwright() as browsers:
            page = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"]).new_page()
            until(lambda: answers(f"http://127.0.0.1:{port}/"))
            page.goto(f"http://127.0.0.1:{port}/")
            page.get_by_role("button", name="register").click()

            def fill(**fields: str) -> None:
                for label, value in fields.items():
                    page.get_by_label(label.replace("_", " "), exact=True).fill(value)

            def press(name: str) -> None:
                page.get_by_role("button", name=name).click()

            status = page.get_by_role("status")
            fill(Name="ana", Password="weak", **{"E-mail": "ana@example.com"})
            press("Create account")
            expect(status).to_contain_text("too short")
            fill(Password=PASSWORD)
            press("Create account")
            expect(status).to_contain_text("Welcome")
            fill(Name="ana", Password=PASSWORD)
            press("Sign in")
            expect(page.locator("h1")).to_have_text("Hello, ana (pharmacy)")
            page.reload()
            expect(page.locator("h1")).to_have_text("Hello, ana (pharmacy)")
            fill(Old_password=PASSWORD, New_password="Changed123")
            press("Change password")
            expect(status).to_contain_text("was changed")
            press("reset")
            fill(Name="ana", **{"E-mail": "ana@example.com"})
            press("Send code")
            expect(status).to_contain_text(re.compile(r"\d{6}$"))
            fill(Code=status.inner_text()[-6:], New_password="Again1234")
            press("Set password")
            expect(status).to_contain_text("was reset")
            fill(Name="ana", Password="Again1234")
            press("Sign in")
            expect(page.locator("h1")).to_be_visible()
    finally:
        vite.terminate()
        vite.wait(20)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def test_the_built_package_serves_the_pages_without_node(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    assert subprocess.run(build, cwd=BACKEND, capture_output=True, timeout=120).returncode == 0
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "yaoshi/_console/index.html" in names and any(name.endswith(".js") for name in names)
    place, port = tmp_path / "venv", free_port()
    venv.create(place, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "install", "--quiet", "--no-index"]
    assert subprocess.run([*pip, "--no-deps", str(wheel)], timeout=60).returncode == 0
    # What it depends on is lent by our own environment: of a PYTHONPATH no .pth is read, which would lend our sources.
    lent = {"PATH": "/nowhere", "PYTHONPATH": sysconfig.get_paths()["purelib"]}
    settings = {"FLASK_ENV": "production", "SECRET_KEY": SECRET, "PUBLIC_URL": "https://id.example.org"}
    started: dict[str, Any] = {"cwd": tmp_path, "env": environment_of(tmp_path / "instance", lent | settings)}
    yaoshi, url = str(place / "bin/yaoshi"), f"http://127.0.0.1:{port}"
    assert subprocess.run([yaoshi, "db", "upgrade"], timeout=60, **started).returncode == 0
    served = subprocess.Popen([yaoshi, "serve", "--port", str(port)], **started)
    try:
        until(lambda: answers(f"{url}/healthz"))
        page = requests.get(f"{url}/", headers={"Accept": "text/html"}, timeout=5)
        assert page.url == f"{url}/console/", page.url
        for asset in re.findall(r"/console/assets/[^\"]+", page.text):
            assert f"yaoshi/_console/{asset.removeprefix('/console/')}" in names
            assert requests.get(url + asset, timeout=5).ok
        assert ".js" in page.text and ".css" in page.text
    finally:
        served.terminate()
        served.wait(20)
