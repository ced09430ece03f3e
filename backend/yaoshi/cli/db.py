"""`yaoshi db …`: the schema's version, and upgrading to it. `flask db …` does the same in a checkout."""

import click

from yaoshi import instance
from yaoshi.migrations import upgrade as migrations
from yaoshi.server import settings_of_process


@click.group()
def db() -> None:
    """Upgrade the database, or adopt a legacy one."""


@db.command()
@click.option("--plan", is_flag=True, help="Tell what would happen; change nothing.")
def upgrade(plan: bool) -> None:
    """Bring the database to this program's version; a legacy file is adopted in place, after keeping a copy."""
    url = instance.database_url(settings_of_process())
    click.echo(migrations.plan(url) if plan else migrations.upgrade(url))


@db.command()
def current() -> None:
    """Show the database's version."""
    click.echo(migrations.current(instance.database_url(settings_of_process())))


@db.command()
def history() -> None:
    """List every version."""
    for line in migrations.history():
        click.echo(line)
