"""Alembic's environment, for `yaoshi db …` (which passes its connection) and `flask db …` (which names the address)."""

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from yaoshi.migrations import metadata
from yaoshi.migrations.connection import locked


def _ours(thing: Any, _name: str | None, _kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave alone what stands in the database and not in our models: a team's other tables, columns and indexes."""
    return not (reflected and compare_to is None)


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=_ours,
        render_as_batch=True,
        compare_type=False,
        transactional_ddl=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run_with_connection() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    with locked(current_app.extensions["yaoshi.database_url"]) as connection:
        _run(connection)
    for report in context.config.attributes.get("reports", []):
        context.config.print_stdout(report)


_run_with_connection()
