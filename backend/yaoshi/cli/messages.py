"""`yaoshi worker` and `yaoshi messages …`: sending what waits, and looking at it."""

import re
import signal
import sys

import click

from yaoshi.accounts.policy import phone_key, read_email
from yaoshi.bootstrap import OPERATOR, House
from yaoshi.cli.accounts import open_house
from yaoshi.core import random
from yaoshi.core.errors import SettingsRefused
from yaoshi.core.phrases import LANGUAGES
from yaoshi.messaging.letters import CODES, KINDS, NOTICES, Letter, Unwritable, sample
from yaoshi.outbox.policy import State
from yaoshi.server import publish_metrics
from yaoshi.web.access import set_up_logs

_LANGUAGE = click.option("--language", type=click.Choice(LANGUAGES), default="zh-CN", show_default=True)
_NEEDED = {"email": "YAOSHI_SMTP_URL", "phone": "YAOSHI_SMS_PROVIDERS"}
# What vendors and servers say, and what it means. Sources: the vendors' lists of error codes; RFC 3463.
_ADVICE = (
    (r"^no provider", "Set {needed}"),
    (
        r"AccessKey|SignatureDoesNotMatch|AuthFailure|Forbidden|NoPermission|RAM_|Unauthorized|the key|HTTP 40[13]",
        "The provider does not take the key, or the key may not send: check id, secret and rights",
    ),
    (r"SIGNATURE_ILLEGAL|SignatureIncorrect", "The sign name is not approved for this account"),
    (
        r"TEMPLATE_ILLEGAL|TemplateIncorrect|MISSING_PARAMETERS|TemplateParam|INVALID_PARAM",
        "The template is not approved, or its parameters are called otherwise",
    ),
    (r"AMOUNT_NOT_ENOUGH|OUT_OF_SERVICE|InsufficientBalance", "The account has no money left"),
    (r"LIMIT_CONTROL|LimitExceeded|HTTP 429", "The provider has had too many messages, in all or to this number: wait"),
    (r"SSL|NotSupported", "No secure connection: the server must offer TLS with a certificate that holds"),
    (r"gaierror|ConnectionRefused|Timeout|ConnectionError|no answer", "Check address, port and firewall"),
    (r"^(country|not a)", "SMS go to mobile numbers of YAOSHI_SMS_COUNTRIES"),
    (r"^(day|number|prefix)", "What SMS may cost is used up for now: see YAOSHI_SMS_DAILY_MAX"),
    (r"\b5\.1\.|\b55\d\b", "The server refuses this recipient, or YAOSHI_MAIL_FROM"),
)


@click.command()
def worker() -> None:
    """Send waiting messages until SIGTERM or Ctrl-C; several of these, on several machines, share the work."""
    set_up_logs()
    with open_house() as house:
        for number in (signal.SIGTERM, signal.SIGINT):
            # The handler only asks: what is being sent is finished first.
            signal.signal(number, lambda *_: house.worker.ask_to_stop())
        publish_metrics(house)
        house.worker.start()
        click.echo("Sending what waits.", err=True)
        house.worker.wait()
        house.worker.stop()


@click.group()
def messages() -> None:
    """List, show and retry messages; try the providers; look at the words."""


@messages.command("list")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only these.")
@click.option("--most", default=50, show_default=True, type=click.IntRange(1, 10_000))
def list_(state: str | None, most: int) -> None:
    """List messages, the newest first, and how many there are. Recipients and words are never shown."""
    with open_house() as house:
        for one in house.outbox.listing(state, most):
            made = one.created_at.isoformat(timespec="seconds")
            click.echo(
                f"{one.id}  {made}  {one.state:<8} {one.channel:<6} {one.kind:<14} {one.provider:<8} {one.reason}"
            )
        for (channel, standing), number in sorted(house.outbox.counts().items()):
            click.echo(f"{number:>8} {channel} {standing}")


@messages.command()
@click.argument("id")
def show(id: str) -> None:
    """Show one message: how often it was tried, what was said, when it is due and when it is of no use any more."""
    with open_house() as house:
        found = house.outbox.find(id)
        if found is None:
            raise SettingsRefused(f"There is no message {id}.")
        for name, value in found._asdict().items():
            click.echo(f"{name:<11} {value}")


@messages.command()
@click.argument("id")
def retry(id: str) -> None:
    """Let a dead message wait again, while it is of use."""
    with open_house() as house:
        if not house.outbox.retry(OPERATOR, id):
            raise SettingsRefused(f"{id} is not dead, or of no use any more, or there is no such message.")
        click.echo(f"{id} waits to be sent.")


@messages.command("test")
@click.option("--to", required=True, help="An e-mail address or a phone number.")
@_LANGUAGE
def test_(to: str, language: str) -> None:
    """Send a real test message now, and say what came of it; exit code 1 when it was not sent."""
    channel, address = _address(to)
    with open_house() as house:
        # Vendors that take approved templates alone have none for a test: what most providers here carry goes instead.
        kind = max(("test", *CODES, *NOTICES), key=lambda kind: len(house.messages.carriers(channel, kind)))
        letter = _write(house, str(random.new_id(house.clock.now())), kind, language, address)
        state, reason, provider, receipt = house.messages.send(channel, letter, "operator")
        if state is not State.SENT and not receipt:
            click.echo(f"Not sent to {to} ({kind}): {reason}.{_advice(reason, channel)}", err=True)
            sys.exit(1)
        click.echo(f"{provider} has taken the message ({kind}) to {to}. If it does not arrive, look at its own log.")


@messages.command()
@click.argument("kind", type=click.Choice(KINDS))
@_LANGUAGE
@click.option("--html", is_flag=True, help="The HTML of the mail instead of its text.")
def preview(kind: str, language: str, html: bool) -> None:
    """Show the words of a message as people get them."""
    with open_house() as house:
        letter = _write(house, "preview", kind, language, "ana@example.com")
        click.echo(letter.html if html else f"Subject: {letter.subject}\nSMS: {letter.sms}\n\n{letter.text}")


def _address(typed: str) -> tuple[str, str]:
    if "@" in typed:
        email, faults = read_email(typed)
        channel, address = "email", "" if faults else email
    else:
        channel, address = "phone", phone_key(typed) or ""
    if not address:
        raise SettingsRefused(f"{typed} is neither an e-mail address nor a phone number.")
    return channel, address


def _write(house: House, key: str, kind: str, language: str, to: str) -> Letter:
    try:
        return house.letters.write(key, kind, language, to, sample(kind))
    except Unwritable as broken:
        raise SettingsRefused(f"{broken}: {broken.__cause__}. See YAOSHI_TEMPLATES_DIR.") from None


def _advice(reason: str, channel: str) -> str:
    found = [advice for sign, advice in _ADVICE if re.search(sign, reason)]
    return f" {found[0].format(needed=_NEEDED[channel])}." if found else ""
