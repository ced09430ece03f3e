"""Alembic's environment, for `yaoshi db …` (which passes its connection) and `flask db …` (which names the address)."""

from typing import Any

from alembic import context
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy import Connection, text

from yaoshi.core.errors import SettingsRefused
from yaoshi.migrations import metadata
from yaoshi.migrations.connection import locked, looking
from yaoshi.migrations.upgrade import version_of


def _ours(thing: Any, _name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave alone what stands in the database and not in our models: a team's other tables, columns and indexes.

    A legacy file may keep usernames and addresses unique by an index instead of a constraint.
    """
    if kind == "unique_constraint" and compare_to is None and thing.table.name == "users":
        return False
    return not (reflected and compare_to is None)


def _tidy(_context: Any, _revision: Any, scripts: list[ops.MigrationScript]) -> None:
    """Take out of a new step what only an adopted `users` table differs in; make no step of nothing."""
    steps = scripts[0].upgrade_ops, scripts[0].downgrade_ops
    for step in steps:
        for table in step.ops if step else ():
            if isinstance(table, ops.ModifyTableOps) and table.table_name == "users":
                table.ops = [change for change in table.ops if not _only_nulls(change)]
        if step:
            step.ops = [one for one in step.ops if not isinstance(one, ops.ModifyTableOps) or one.ops]
    if steps[0] and steps[0].is_empty() and getattr(context.config.cmd_opts, "autogenerate", False):
        scripts.clear()
        context.config.print_stdout("Nothing differs: no new step was made.")


def _only_nulls(change: ops.MigrateOperation) -> bool:
    """Old rows may lack a value that ours must have, and SQLite can't say so without making the table anew."""
    if isinstance(change, ops.AlterColumnOp):
        change.modify_nullable = None
        return not change.has_changes()
    return False


def _changes() -> bool:
    """Return whether the command at hand moves the schema to another version."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=_ours,
        process_revision_directives=_tidy,
        render_as_batch=True,
        compare_type=connection.dialect.name != "sqlite",  # there a type is a hint, and adopted columns keep theirs
        transactional_ddl=True,
        transaction_per_migration=False,
    )
    migration = context.get_context()
    if not _changes() and not migration.opts.get("dont_mutate") and version_of(connection) is None:
        raise CommandError("The database is not of this program yet. Run: yaoshi db upgrade")
    if _changes() and version_of(connection) is None and migration.get_current_heads():
        connection.execute(text("DELETE FROM alembic_version"))  # the legacy system's own history ends here
    with context.begin_transaction():
        context.run_migrations()


def _run_with_connection() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    if context.is_offline_mode():
        raise CommandError("An upgrade needs the rows: --sql is not supported.")
    url = context.config.attributes["url"]
    try:
        with locked(url) if _changes() else looking(url) as connection:
            _run(connection)
    except SettingsRefused as refused:
        raise CommandError(str(refused)) from None
    for report in context.config.attributes.get("reports", []):
        context.config.print_stdout(report)


_run_with_connection()
