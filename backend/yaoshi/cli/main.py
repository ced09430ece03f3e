"""`yaoshi`: every command of the operator."""

import sqlite3
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path

import click

from yaoshi import __version__, instance
from yaoshi.bootstrap import OPERATOR, build
from yaoshi.cli.accounts import accounts
from yaoshi.cli.doctor import examine
from yaoshi.cli.keys import keys
from yaoshi.cli.messages import messages, worker
from yaoshi.cli.secrets import secrets
from yaoshi.core.engines import sqlite_path
from yaoshi.core.errors import Problem, SettingsRefused
from yaoshi.server import demand_stated_mode, serve, settings_of_process


class _Commands(click.Group):
    """Loads `db` when it is called: the migration library would cost every start a sixth of a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), "db"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called `cmd_name`."""
        if cmd_name != "db":
            return super().get_command(ctx, cmd_name)
        command: click.Command = import_module("yaoshi.cli.db").db
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="yaoshi")
def cli() -> None:
    """Yaoshi 钥匙: the authentication backend that you own."""


for command in (accounts, keys, messages, secrets, worker):
    cli.add_command(command)


@cli.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--threads", type=click.IntRange(1, 512), help="Requests worked on at once. Default: from the cores.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that serve.")
def serve_command(host: str, port: int, threads: int | None, workers: int) -> None:
    """Serve, in production unless FLASK_ENV says otherwise."""
    settings = settings_of_process()
    demand_stated_mode(settings)
    serve(settings, host, port, threads, workers)


@cli.command()
def doctor() -> None:
    """Say in plain words what is wrong and how to mend it; exit code 1 if something is."""
    findings = examine()
    for finding in findings:
        click.echo(f"{finding.level:<8} {finding.text}")
    if any(finding.level == "wrong" for finding in findings):
        sys.exit(1)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the SQLite database to FILE while it is served; FILE is made for its owner alone."""
    source = sqlite_path(instance.database_url(settings_of_process()))
    if source is None:
        raise SettingsRefused("The database is PostgreSQL: use pg_dump, which copies it while it is served.")
    if file.exists():
        raise SettingsRefused(f"{file} exists. A backup never overwrites: choose another name.")
    part = file.with_name(file.name + ".part")
    try:
        part.touch(mode=0o600)
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(part)) as copy:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        part.rename(file)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise SettingsRefused(f"The backup could not be made: {error}") from None
    click.echo(f"Copied {source} to {file}. Keep SECRET_KEY somewhere else: the copy needs it, and is safe without it.")


@cli.command()
def purge() -> None:
    """Delete codes, sessions and messages that have been over for a day; the server does the same every hour."""
    house = build(settings_of_process())
    house.installation.check()
    codes, sessions, letters = house.installation.purge(OPERATOR)
    house.close()
    click.echo(f"Deleted {codes} codes, {sessions} sessions and {letters} messages.")


def main() -> None:
    """Run a command; what can't be done is one sentence on standard error and exit code 2."""
    try:
        cli(prog_name="yaoshi")
    except SettingsRefused as refused:
        click.echo(f"yaoshi: {refused}", err=True)
        sys.exit(2)
    except Problem as problem:
        told = [f"{one.field}: {one.code}" for one in problem.faults]
        click.echo(f"yaoshi: {problem.phrase.en} {', '.join(told)}".rstrip(), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
