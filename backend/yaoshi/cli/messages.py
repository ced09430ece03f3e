"""`yaoshi worker` and `yaoshi messages …`: sending what waits, and looking at it."""

import signal
import sys

import click

from yaoshi.accounts.policy import phone_key, read_email
from yaoshi.bootstrap import OPERATOR, House
from yaoshi.cli.accounts import open_house
from yaoshi.core import random
from yaoshi.core.errors import SettingsRefused
from yaoshi.core.phrases import LANGUAGES
from yaoshi.messaging.letters import KINDS, NOTICES, Unwritable
from yaoshi.outbox.policy import State
from yaoshi.web.access import set_up_logs

_LANGUAGE = click.option("--language", type=click.Choice(LANGUAGES), default="zh-CN", show_default=True)
_CODE = {"code": "123456", "minutes": "10"}
_NOTICE = {
    "at": "2026-01-31 20:15",
    "address": "203.0.113.7",
    "device": "Chrome · Windows",
    "link": "https://id.example.com/console/disown#v1.1.1800000000.0123456789abcdef",
}


@click.command()
def worker() -> None:
    """Send waiting messages until SIGTERM or Ctrl-C; several of these, on several machines, share the work."""
    set_up_logs()
    with open_house() as house:
        for number in (signal.SIGTERM, signal.SIGINT):
            # The handler only asks: what is being sent is finished first.
            signal.signal(number, lambda *_: house.worker.ask_to_stop())
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
        letter = house.letters.write(str(random.new_id(house.clock.now())), "test", language, address, _CODE)
        state, reason, provider, receipt = house.messages.send(channel, letter, "operator")
        if state is not State.SENT and not receipt:
            click.echo(f"Not sent to {to}: {reason}.{_advice(house, channel)}", err=True)
            sys.exit(1)
        click.echo(f"{provider} has taken the message to {to}. If it does not arrive, look at the provider's own log.")


@messages.command()
@click.argument("kind", type=click.Choice(KINDS))
@_LANGUAGE
@click.option("--html", is_flag=True, help="The HTML of the mail instead of its text.")
def preview(kind: str, language: str, html: bool) -> None:
    """Show the words of a message as people get them."""
    with open_house() as house:
        try:
            letter = house.letters.write(
                "preview", kind, language, "ana@example.com", _NOTICE if kind in NOTICES else _CODE
            )
        except Unwritable as broken:
            raise SettingsRefused(f"{broken}: {broken.__cause__}") from None
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


def _advice(house: House, channel: str) -> str:
    if house.settings.smtp_url if channel == "email" else house.settings.sms_providers:
        return ""
    return f" Set {'YAOSHI_SMTP_URL' if channel == 'email' else 'YAOSHI_SMS_PROVIDERS'}."
