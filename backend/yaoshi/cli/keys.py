"""`yaoshi keys …`: the keys that sign access tokens. A running server knows of a change within a second."""

import click

from yaoshi.bootstrap import OPERATOR
from yaoshi.cli.accounts import open_house


@click.group()
def keys() -> None:
    """List, rotate and retire the keys that sign access tokens."""


@keys.command("list")
def list_() -> None:
    """List every key, oldest first: id, algorithm, phase, when it began or begins to sign."""
    with open_house() as house:
        for key, phase in house.ring.listing():
            begins = key.signs_from.isoformat(timespec="seconds") if key.signs_from else "-"
            click.echo(f"{key.kid}  {key.algorithm}  {phase.value:<9}  signs from {begins}")


@keys.command()
@click.option(
    "--now", is_flag=True, help="Let it sign at once: after a leak. Services that cache keys fail for a while."
)
def rotate(now: bool) -> None:
    """Publish a new key; it signs after the publish delay. Nobody is signed out."""
    with open_house() as house:
        kid = house.ring.rotate(OPERATOR, at_once=now)
        when = "now" if now else f"in {house.settings.key_publish_seconds} seconds"
        click.echo(f"{kid} is published and signs {when}. Older keys verify until their last token is over.")


@keys.command()
@click.argument("kid")
def retire(kid: str) -> None:
    """End a key now: after a leak. Its access tokens are void; clients refresh and go on."""
    with open_house() as house:
        house.ring.retire(OPERATOR, kid)
        click.echo(f"{kid} is retired: no token that it signed holds any more.")
