"""Messages on real processes: killed workers, a long queue, a worker beside two servers, PostgreSQL's own time."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from gateways import SECRET as PASSWORD
from gateways import Gateway, Mailbox
from playwright.sync_api import sync_playwright
from sqlalchemy import create_engine, text

from conftest import SECRET, World
from servers import BACKEND, Postgres, Server, certificate, environment_of, yaoshi
from yaoshi.migrations.upgrade import upgrade
from yaoshi.outbox.policy import LEASE
from yaoshi.outbox.worker import WORKER

pytestmark = pytest.mark.attacks
LIMITS = {f"YAOSHI_LIMIT_{name}": "100000/hour" for name in ("RESET_ADDRESS", "RESET_ACCOUNT", "REGISTER_ADDRESS")}


def mailing(mailbox: Mailbox, **more: str) -> dict[str, str]:
    return {
        "FLASK_ENV": "production",
        "SECRET_KEY": SECRET,
        "PUBLIC_URL": "https://id.example.org",
        "YAOSHI_SMTP_URL": mailbox.url,
        "YAOSHI_MAIL_FROM": "no-reply@example.org",
        "YAOSHI_RESEND_SECONDS": "0",
        **LIMITS,
        **more,
    }


class WorkerProcess:
    """`yaoshi worker`, a process of its own."""

    def __init__(self, instance: Path, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "yaoshi.cli.main", "worker"]
        with (instance / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=BACKEND, env=environment_of(instance, environment), stdout=log, stderr=log
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def database(instance: Path, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(f"sqlite:///{instance / 'yaoshi.db'}")
    with engine.begin() as db:
        found = db.execute(text(statement))
        rows = [tuple(row) for row in found] if found.returns_rows else []
    engine.dispose()
    return rows


def ask(server: Server, names: list[str]) -> None:
    for name in names:
        body = {"identifier": name, "channel": "email", "contact": f"{name}@example.com"}
        assert server.post("request-reset-code", body).status_code == 200


def test_rel06_a_worker_killed_mid_send_loses_nothing(
    start_server: Callable[..., Server], mailbox: Mailbox, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rounds, environment = request.config.getoption("--rounds"), mailing(mailbox, YAOSHI_EMBEDDED_WORKER="false")
    server = start_server(**environment)
    names = [f"user{number}" for number in range(10)]
    for name in names:
        assert server.register(name).status_code == 201
    taken, go_on, repeated = threading.Semaphore(0), threading.Event(), 0

    def after() -> str:
        if not go_on.is_set():
            taken.release()
            time.sleep(0.2)  # the mail is taken, and its worker dies before it hears of that
        return "250 taken"

    mailbox.after = after
    for _ in range(rounds):
        mailbox.mails.clear()
        while taken.acquire(blocking=False):
            pass  # what the round before has left
        go_on.clear()
        ask(server, names)
        worker = WorkerProcess(server.instance, environment)
        assert taken.acquire(timeout=120)
        worker.kill()
        go_on.set()
        assert database(server.instance, "SELECT 1 FROM messages WHERE state = 'waiting' AND lease IS NOT NULL")
        # Whoever waits out the lease in earnest waits four minutes: the row's own instant is moved instead.
        database(server.instance, "UPDATE messages SET leased_until = created_at WHERE leased_until IS NOT NULL")
        worker = WorkerProcess(server.instance, environment)
        until(lambda: not database(server.instance, "SELECT 1 FROM messages WHERE state = 'waiting'"))
        assert worker.stop() == 0
        keys = Counter(str(mail.message["Message-ID"]) for mail in mailbox.mails)
        assert {mail.to[0] for mail in mailbox.mails} == {f"{name}@example.com" for name in names}
        assert len(keys) == len(names)
        repeated += sum(keys.values()) - len(keys)
    assert repeated <= rounds  # as many as there were kills
    print(f"{rounds} kills, {repeated} mails came twice")


def test_a_long_queue_drains_while_callers_are_answered(
    start_server: Callable[..., Server], mailbox: Mailbox, request: pytest.FixtureRequest
) -> None:
    number = 10_000 if request.config.getoption("--rounds") >= 20 else 2_000
    environment = mailing(mailbox, YAOSHI_EMBEDDED_WORKER="false")
    unasked = Mailbox()  # the server's own provider, which no request may call; the workers have the other one
    server = start_server(**environment | {"YAOSHI_SMTP_URL": unasked.url})
    assert server.register("ana").status_code == 201
    ask(server, ["ana"])
    # Notices, of the one seal: what a worker does with each is the same.
    database(
        server.instance,
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})"
        " INSERT INTO messages (id, kind, channel, place, code_id, sealed, state, created_at, due_at, useless_at)"
        " SELECT printf('%036d', i), 'test', channel, 1, NULL, sealed, state, created_at, due_at,"
        " '2099-01-01 00:00:00.000000' FROM messages, n",
    )
    token = server.login("ana").json()["access_token"]
    workers = [WorkerProcess(server.instance, environment) for _ in range(2)]
    until(lambda: len(mailbox.mails) > 10)
    answered = 0
    while database(server.instance, "SELECT 1 FROM messages WHERE state = 'waiting' LIMIT 1"):
        me = server.say("GET", "/api/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert me.status_code == 200
        ask(server, ["ghost"])
        answered += 2
        time.sleep(0.2)
    assert [worker.stop() for worker in workers] == [0, 0]
    unasked.close()
    print(f"{answered} requests were answered while {number} messages left")
    assert answered and len(mailbox.mails) == number + 1 and not unasked.connections
    keys = [str(mail.message["Message-ID"]) for mail in mailbox.mails]
    # Each once; the code is claimed first, while the other worker sends too.
    assert len(keys) == len(set(keys))
    assert not all(key.startswith("<0000") for key in keys[:16])


def test_the_servers_own_worker_sends_by_itself(start_server: Callable[..., Server], mailbox: Mailbox) -> None:
    server = start_server(**mailing(mailbox))
    assert server.register("ana").status_code == 201
    ask(server, ["ana"])
    until(lambda: len(mailbox.mails) == 1)
    body = {"identifier": "ana", "channel": "email", "contact": "ana@example.com", "code": mailbox.mails[0].code}
    assert server.post("reset-password", body | {"new_password": "Changed123"}).status_code == 200
    assert mailbox.mails[0].code not in server.log.read_text()


def test_the_operator_sees_tries_and_retries(start_server: Callable[..., Server], mailbox: Mailbox) -> None:
    environment = mailing(mailbox)
    server = start_server(**environment)

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return yaoshi(server.instance, *words, **environment)

    mailbox.judge = lambda to: "550 5.1.1 no" if to.startswith("ana") else None
    assert server.register("ana").status_code == 201
    ask(server, ["ana"])
    until(lambda: bool(database(server.instance, "SELECT 1 FROM messages WHERE state = 'dead'")))
    ((message_id,),) = database(server.instance, "SELECT id FROM messages")
    listed = command("messages", "list", "--state", "dead").stdout
    assert (
        str(message_id) in listed and "smtp: 550 5.1.1" in listed and "1 email dead" in listed and "ana@" not in listed
    )
    assert "attempts    1" in command("messages", "show", str(message_id)).stdout
    assert command("messages", "show", "nothing").returncode == 2
    mailbox.judge = lambda _to: None
    assert command("messages", "retry", str(message_id)).returncode == 0
    until(lambda: len(mailbox.mails) == 1)
    assert command("messages", "retry", str(message_id)).returncode == 2
    test = command("messages", "test", "--to", "ben@example.com", "--language", "en")
    assert test.returncode == 0 and mailbox.mails[-1].to == ["ben@example.com"], test.stderr
    sms = command("messages", "test", "--to", "13800138000")
    assert sms.returncode == 1 and "Set YAOSHI_SMS_PROVIDERS" in sms.stderr
    assert command("messages", "test", "--to", "nobody").returncode == 2
    for language in ("zh-CN", "en"):
        assert "123456" in command("messages", "preview", "reset_code", "--language", language).stdout
    assert "<!doctype html>" in command("messages", "preview", "reset_code", "--html").stdout
    mailbox.close()
    down = command("messages", "test", "--to", "ben@example.com")
    assert down.returncode == 1 and "ConnectionRefusedError" in down.stderr
    mailbox.open()


@pytest.mark.parametrize("vendor", ["webhook", "aliyun", "tencent", "twilio"])
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_a_whole_life_of_contacts_through_the_real_worker(
    start_server: Callable[..., Server], mailbox: Mailbox, tmp_path: Path, language: str, vendor: str
) -> None:
    gateway = Gateway(vendor)
    texting = {f"YAOSHI_{name.upper()}": str(value) for name, value in gateway.settings().items()}
    environment = mailing(
        mailbox,
        **texting,
        YAOSHI_EMBEDDED_WORKER="false",
        YAOSHI_SIGN_IN_BY_CODE="true",
        PUBLIC_URL="https://id.example.com",
        YAOSHI_INSTALLATION_NAME="药师平台",
    )
    server = start_server(**environment)
    worker = WorkerProcess(server.instance, environment)

    def say(path: str, body: dict[str, str] | None = None, method: str = "POST") -> dict[str, Any]:
        headers = {"Accept-Language": language} | ({"Authorization": f"Bearer {token}"} if token else {})
        answer = server.say(method, f"/api/auth/{path}", json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def code_to(to: str, channel: str = "email") -> str:
        def newest() -> list[str]:
            if channel == "phone":
                return [told["code"] for told in gateway.taken if "code" in told and told["to"] == to]
            return [mail.code for mail in mailbox.mails if mail.to == [to] and "disown" not in mail.text]

        seen[to] = seen.get(to, 0) + 1
        until(lambda: len(newest()) >= seen[to])
        return newest()[-1]

    token, seen, email, phone = "", dict[str, int](), "ana@example.com", "+8613800138000"
    contact = {"email": email, "phone": phone}
    say("register", {"username": "ana", "email": email, "phone": phone, "password": "Secret123"})
    token = say("login", {"username": "ana", "password": "Secret123"})["access_token"]
    for channel, to in contact.items():
        say(f"contacts/{channel}/code")
        assert say(f"contacts/{channel}/verify", {"code": code_to(to, channel)})["user"][f"{channel}_verified_at"]
    for channel, to in contact.items():
        claim = {"identifier": "ana", "channel": channel, "contact": to}
        token = ""
        say("request-reset-code", claim)
        say("reset-password", claim | {"code": code_to(to, channel), "new_password": f"{channel.title()}1234"})
    say("login/code", {"identifier": "ana", "channel": "phone"})
    token = say("login", {"username": "ana", "code": code_to(phone, "phone")})["access_token"]
    say("contacts/email", {"value": "new@example.com", "password": "Phone1234"}, "PUT")
    assert say("contacts/email/verify", {"code": code_to("new@example.com")})["user"]["email"] == "new@example.com"
    until(lambda: len([mail for mail in mailbox.mails if mail.to == [email] and "disown" in mail.text]) == 4)
    told = mailbox.mails[-1]
    with sync_playwright() as browsers:
        chromium = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chromium.new_page(locale=language, viewport={"width": 390, "height": 844})
        problems: list[str] = []
        page.on("console", lambda said: problems.append(said.text))
        page.set_content(told.html)
        page.screenshot(path=tmp_path / f"notice-{language}.png", full_page=True)
        link = page.get_by_role("link").get_attribute("href")
        assert link and link in told.text
        page.set_content(mailbox.mails[0].html)
        page.screenshot(path=tmp_path / f"code-{language}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not problems
        chromium.close()
    say("disown", {"token": link.partition("#")[2]})
    assert server.say("GET", "/api/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert server.login("ana", "Phone1234").status_code == 401
    assert worker.stop() == 0
    logged = server.log.read_text() + (server.instance / "worker.log").read_text() + repr(everything(server.instance))
    codes = {mail.code for mail in mailbox.mails if "disown" not in mail.text} | {
        str(told["code"]) for told in gateway.taken if "code" in told
    }
    assert not [code for code in codes if re.search(rf"(?<![0-9a-f.]){code}(?![0-9a-f])", logged)]
    gateway.close()


def everything(instance: Path) -> dict[str, list[tuple[object, ...]]]:
    tables = database(instance, "SELECT name FROM sqlite_master WHERE type = 'table'")
    return {str(name): database(instance, f'SELECT * FROM "{name}"') for (name,) in tables}


def test_c20_two_hundred_at_the_cap_on_two_servers_and_two_workers(
    start_server: Callable[..., Server], mailbox: Mailbox
) -> None:
    gateway = Gateway("webhook")
    texting = {f"YAOSHI_{name.upper()}": str(value) for name, value in gateway.settings().items()}
    more = {"YAOSHI_SMS_DAILY_MAX": "30", "YAOSHI_EMBEDDED_WORKER": "false", "YAOSHI_COUNTERS": "database"}
    environment = mailing(mailbox, **texting | more)
    first = start_server(**environment)
    second = start_server(first.instance, **environment)
    numbers = [f"139{number:04d}{number:04d}" for number in range(200)]
    for number in range(200):
        body = {"username": f"u{number}", "email": f"u{number}@example.com", "phone": numbers[number]}
        assert first.post("register", body | {"password": "Secret123"}).status_code == 201
    workers = [WorkerProcess(first.instance, environment) for _ in range(2)]

    def ask(number: int) -> str:
        body = {"identifier": f"u{number}", "channel": "phone", "contact": numbers[number]}
        answer = (first, second)[number % 2].post("request-reset-code", body)
        return f"{answer.status_code} {answer.text}"

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(ask, range(200)))
    assert len(answers) == 1 and answers.pop().startswith("200 ")
    until(lambda: not database(first.instance, "SELECT 1 FROM messages WHERE state = 'waiting'"))
    assert [worker.stop() for worker in workers] == [0, 0]
    assert len(gateway.taken) == 30
    assert database(first.instance, "SELECT state, count(*) FROM messages GROUP BY 1 ORDER BY 1") == [
        ("dropped", 170), ("sent", 30),
    ]  # fmt: skip
    gateway.close()


@pytest.mark.postgres
def test_rel17_on_postgresql_leases_go_by_its_own_time(make_world: Callable[..., World], mailbox: Mailbox) -> None:
    postgres = Postgres()
    try:
        url = postgres.create("leases")
        upgrade(url)
        more = {"smtp_url": mailbox.url, "mail_from": "a@example.org", "database_url": url}
        first, second = (make_world("production", **more) for _ in range(2))
        second.clock.advance(seconds=LEASE.total_seconds() * 2)
        first.register()
        first.ask_code()
        held = first.house.outbox.claim(WORKER, "email")
        assert held and second.house.outbox.claim(WORKER, "email") is None
        with first.house.db.write(WORKER) as work:
            work.db.execute(text("UPDATE messages SET leased_until = now() - interval '1 second'"))
        again = second.house.outbox.claim(WORKER, "email")
        assert again and again.id == held.id and again.attempts == 2
    finally:
        for world in (first, second):
            world.house.close()
        postgres.stop()


def test_the_mail_is_spoken_over_tls_with_a_password(tmp_path: Path) -> None:
    context = certificate(tmp_path)
    mailbox = Mailbox(user="yaoshi", context=context)
    try:
        url = f"smtp://yaoshi:{PASSWORD}@127.0.0.1:{mailbox.port}"
        environment = mailing(mailbox, YAOSHI_SMTP_URL=url, SSL_CERT_FILE=str(tmp_path / "tls.pem"))
        instance = tmp_path / "instance"
        instance.mkdir()
        assert yaoshi(instance, "db", "upgrade", **environment).returncode == 0
        done = yaoshi(instance, "messages", "test", "--to", "ben@example.com", **environment)
        assert done.returncode == 0, done.stderr
        open_to_all = Mailbox(context=context)  # no sign-in, so nothing says EHLO after STARTTLS for us
        plain = environment | {"YAOSHI_SMTP_URL": f"smtp://127.0.0.1:{open_to_all.port}"}
        done = yaoshi(instance, "messages", "test", "--to", "ben@example.com", **plain)
        open_to_all.close()
        assert done.returncode == 0, done.stderr
        unknown = environment | {"SSL_CERT_FILE": ""}  # as Debian's mail servers have one; on this machine it will do
        assert yaoshi(instance, "messages", "test", "--to", "ben@example.com", **unknown).returncode == 0
        wrong = yaoshi(
            instance,
            "messages",
            "test",
            "--to",
            "ben@example.com",
            **environment | {"YAOSHI_SMTP_URL": url.replace("gateway", "wrong")},
        )
        assert wrong.returncode == 1 and "535" in wrong.stderr and "wrong-secret" not in wrong.stderr
    finally:
        mailbox.close()
