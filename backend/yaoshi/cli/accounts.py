"""`yaoshi accounts …`: what the operator does for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass

import click
from sqlalchemy import select

from yaoshi.accounts import queries
from yaoshi.accounts.models import User
from yaoshi.accounts.notices import Notice
from yaoshi.accounts.policy import Role, read_email, read_handle, read_phone, read_username
from yaoshi.accounts.queries import Account
from yaoshi.accounts.service import NewAccount
from yaoshi.bootstrap import OPERATOR, House, build
from yaoshi.codes.policy import Purpose
from yaoshi.core.errors import Fault, InvalidRequest, SettingsRefused
from yaoshi.passwords.policy import judge
from yaoshi.server import settings_of_process

_ROLES = click.Choice([role.value for role in Role])


@click.group()
def accounts() -> None:
    """List, make, change, disable and rescue accounts. NAME is a username, e-mail address, phone number or #id."""


@accounts.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--after", default=0, help="Continue after this id.")
@click.option("--role", type=str, help="Only accounts of this role.")
def list_accounts(limit: int, after: int, role: str | None) -> None:
    """List accounts by id."""
    with open_house() as house, house.db.read() as db:
        wanted = select(User.id).where(User.id > after).order_by(User.id).limit(limit)
        ids = db.scalars(wanted.where(User.role == role) if role else wanted).all()
        for user_id in ids:
            account = queries.by_id(db, user_id)
            if account:
                click.echo(_line(account))
    if len(ids) == limit:
        click.echo(f"More: --after {ids[-1]}", err=True)


@accounts.command()
@click.argument("name")
def show(name: str) -> None:
    """Show one account."""
    with open_house() as house:
        click.echo(_line(_find(house, name)))


@accounts.command()
@click.argument("username")
@click.argument("email")
@click.option("--phone")
@click.option("--role", type=_ROLES, default=Role.UNAUTH.value, show_default=True)
def create(username: str, email: str, phone: str | None, role: str) -> None:
    """Make an account; the password is asked for and not shown."""
    plain = getpass("Password: ")
    name, faults = read_username(username)
    address, more = read_email(email)
    number, still_more = read_phone(phone) if phone else (None, [])
    found: list[Fault] = [*faults, *more, *still_more, *judge(plain, "password")]
    if found:
        raise InvalidRequest(found)
    with open_house() as house:
        with house.passwords.hashing() as hashing:
            digest = hashing.hash(plain)
        new = NewAccount(name, address, number.spelled if number else None, Role.UNAUTH)
        with house.db.write(OPERATOR) as work:
            profile = house.accounts.open(work, new, digest)
            if role != Role.UNAUTH.value:
                house.accounts.set_role(work, profile.id, Role(role))
        click.echo(_line(_find(house, f"#{profile.id}")))


@accounts.command("set-role")
@click.argument("name")
@click.argument("role", type=_ROLES)
def set_role(name: str, role: str) -> None:
    """Give an account a role; it holds from the account's next request on."""
    with open_house() as house:
        account = _find(house, name)
        with house.db.write(OPERATOR) as work:
            house.accounts.set_role(work, account.profile.id, Role(role))
        click.echo(_line(_find(house, f"#{account.profile.id}")))


@accounts.command()
@click.argument("name")
def disable(name: str) -> None:
    """Shut an account: its sessions and codes end now."""
    with open_house() as house:
        account = _find(house, name)
        with house.db.write(OPERATOR) as work:
            house.accounts.disable(work, account.profile.id)
            house.sessions.end_all(work, account.profile.id)
            house.codes.void_all(work, account.profile.id)
        click.echo(_line(_find(house, f"#{account.profile.id}")))


@accounts.command()
@click.argument("name")
def enable(name: str) -> None:
    """Open a shut account again."""
    with open_house() as house:
        account = _find(house, name)
        with house.db.write(OPERATOR) as work:
            house.accounts.enable(work, account.profile.id)
        click.echo(_line(_find(house, f"#{account.profile.id}")))


@accounts.command("end-sessions")
@click.argument("name")
def end_sessions(name: str) -> None:
    """Sign an account out everywhere, and tell its owner."""
    with open_house() as house:
        account = _find(house, name)
        house.sessions.sign_out_everywhere(OPERATOR, account.profile.id)
        click.echo(f"#{account.profile.id} is signed out everywhere.")


@accounts.command()
@click.argument("name")
@click.option("--channel", type=click.Choice(["email", "phone"]), default="email", show_default=True)
def reset(name: str, channel: str) -> None:
    """Make a reset code for a bound contact, show it once, and sign the account out everywhere, telling its owner."""
    with open_house() as house:
        account = _find(house, name)
        contact = account.profile.email if channel == "email" else account.profile.phone
        if not contact:
            raise SettingsRefused(f"#{account.profile.id} has no {channel}.")
        if account.disabled_at:
            raise SettingsRefused(f"#{account.profile.id} is disabled. Enable it first.")
        to = (channel, queries.contact_key(channel, contact))
        subject = house.codes.subject(Purpose.RESET, account.profile.id, to, to)
        with house.db.write(OPERATOR) as work:
            house.codes.void_all(work, account.profile.id)
            house.sessions.end_all(work, account.profile.id)
            if not queries.has_power(account, channel):  # the operator vouches for who gets this code
                house.accounts.prove(work, account.profile.id, channel)
            code = house.codes.issue(work, subject).shown
            house.notices.send(work, Notice.SESSIONS_ENDED, account.profile.id, before=account)
        click.echo(f"Code for {contact}: {code} (10 minutes, once)")


@contextmanager
def open_house() -> Iterator[House]:
    """Yield the house of this process's settings, its database of this version. Raises SettingsRefused."""
    house = build(settings_of_process())
    try:
        house.installation.check_version()
        yield house
    finally:
        house.close()


def _find(house: House, name: str) -> Account:
    if name.startswith("#") and name[1:].isdecimal():
        with house.db.read() as db:
            account = queries.by_id(db, int(name[1:]))
    else:
        account = queries.by_handle(house.db, read_handle(name))
    if account is None:
        raise SettingsRefused(f"No account is called {name}.")
    return account


def _line(account: Account) -> str:
    profile = account.profile
    wish = f" (asks for {profile.requested_role})" if profile.requested_role else ""
    state = " disabled" if account.disabled_at else ""
    return f"#{profile.id} {profile.username} <{profile.email}> {profile.phone or '-'} {profile.role}{wish}{state}"
