"""`yaoshi secrets …`: where the secrets are, whether they are good, and changing them. Values are never told."""

import os
import sys
from pathlib import Path

import click

from yaoshi import instance
from yaoshi.bootstrap import OPERATOR
from yaoshi.cli.accounts import open_house
from yaoshi.core import random
from yaoshi.core.errors import SettingsRefused
from yaoshi.core.sources import secret_file
from yaoshi.settings import Settings, weakness

_NAMES = {
    "secret_key": "SECRET_KEY",
    "secret_keys": "SECRET_KEYS",
    "jwt_secret_key": "JWT_SECRET_KEY",
    "jwt_secret_keys": "JWT_SECRET_KEYS",
}


@click.group()
def secrets() -> None:
    """Make, check and change the installation's secrets."""


@secrets.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Default: `secrets` in the instance folder.")
def init(folder: Path | None) -> None:
    """Make a SECRET_KEY in a directory of secrets, its owner's alone."""
    folder = folder or instance.folder() / "secrets"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(folder / "SECRET_KEY", random.token(48))
    except FileExistsError:
        raise SettingsRefused(f"{folder / 'SECRET_KEY'} exists. A secret is never overwritten: rotate it.") from None
    except OSError as error:
        raise SettingsRefused(f"{folder} can't be written ({error.strerror}).") from None
    click.echo(f"Made {folder / 'SECRET_KEY'}. Start the server with YAOSHI_SECRETS_DIR={folder}")
    click.echo("Keep a copy apart from the database's backups: neither is of use to a thief without the other.")


@secrets.command()
def check() -> None:
    """Say where each secret comes from and whether it is good; exit code 1 if one is not."""
    bad = False
    with open_house() as house:
        for field, name in _NAMES.items():
            value = getattr(house.settings, field)
            values = value if isinstance(value, tuple) else tuple(filter(None, [value]))
            if not values:
                continue
            reasons = [reason for reason in map(weakness, values) if reason]
            careless = _writable_by_others(secret_file(name))
            bad = bad or bool(reasons) or careless
            told = [*reasons, *(["its file can be written by others"] if careless else [])]
            many = f" ({len(values)}, newest first)" if len(values) > 1 else ""
            click.echo(f"{name}{many}: from {_origin(name)}; {', '.join(told) or 'good'}")
        older = house.ring.sealed_by_older()
        click.echo(f"Signing keys in the database: all open; {older} sealed by an older secret.")
    if bad:
        sys.exit(1)


@secrets.command()
def rotate() -> None:
    """Change SECRET_KEY in two steps: put a new one before it, then, after a restart, seal everything anew."""
    with open_house() as house:
        if len(house.settings.secrets) > 1:
            days = max(house.settings.session_idle_hours.values()) // 24
            click.echo(f"{house.ring.reseal(OPERATOR)} signing keys were sealed again by the newest secret.")
            click.echo(
                f"Take the older secrets out in {days} days: devices that were not used since are signed out then."
            )
            return
        file = secret_file("SECRET_KEY")
        if file is None or os.environ.get("SECRET_KEY") or not os.access(file.parent, os.W_OK):
            click.echo("Put this before the present secret, both in SECRET_KEYS instead of SECRET_KEY, and restart:")
            click.echo(random.token(48))
        else:
            _prepend(house.settings, file)
            click.echo(f"{file.with_name('SECRET_KEYS')} now holds a new secret before the present one. Restart.")
    click.echo("Then run this again: yaoshi secrets rotate")


def _prepend(settings: Settings, file: Path) -> None:
    """Write the new and the present secret beside `file`, which goes: from then on there is one place to look."""
    try:
        _write_new(file.with_name("SECRET_KEYS"), f"{random.token(48)}\n{settings.secret_key}")
        file.unlink()
    except OSError as error:
        raise SettingsRefused(f"{file.with_name('SECRET_KEYS')} can't be written ({error.strerror}).") from None


def _write_new(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _origin(name: str) -> str:
    if os.environ.get(name):
        return "the environment"
    file = secret_file(name)
    if file:
        return str(file)
    return "Vault" if os.environ.get("YAOSHI_VAULT_SECRET") else f"the instance folder {instance.folder()}"


def _writable_by_others(file: Path | None) -> bool:
    """Return whether others could change the secret. Reading is the runtime's affair: Docker mounts secrets 0444."""
    return file is not None and os.name != "nt" and bool(file.stat().st_mode & 0o022)
