"""Changing a legacy database: only columns and tables of ours are added, everything else stays as it was."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column, Connection, inspect, select, text
from sqlalchemy import column as named
from sqlalchemy import table as table_of

from yaoshi.core.errors import SettingsRefused
from yaoshi.migrations.adoption import KEYS, LegacyRow, Plan, make_plan

_CODES, _OLD_CODES = "password_reset_codes", "password_reset_codes_before_yaoshi"
_ADDED = ("sessions", "signing_keys", "audit_entries", "installation")
_DEMANDED = {"id", "username", "email", "password_hash"}
# What a legacy code may lack: it is void anyhow, nothing but the row's existence matters.
_FILLING: dict[str, Any] = dict.fromkeys(("subject", "channel", "contact_value", "code_hash"), sa.literal(""))
_FILLING |= {"attempts": sa.literal(0), **dict.fromkeys(("expires_at", "created_at"), sa.func.current_timestamp())}


def refuse_strangers(connection: Connection) -> None:
    """Raise SettingsRefused for a database that is neither empty nor the legacy system's."""
    inspector = inspect(connection)
    found = set(inspector.get_table_names())
    if strange := sorted(found & set(_ADDED)):
        raise SettingsRefused(
            f"The database has a table {strange[0]} of another program, and Yaoshi needs that name. Rename it first;"
            " nothing was changed."
        )
    lacking = _DEMANDED - {column["name"] for column in inspector.get_columns("users")} if "users" in found else ()
    if lacking:
        raise SettingsRefused(
            f"The table users lacks {', '.join(sorted(lacking))}: it is not the legacy system's. Nothing was changed."
        )


def plan_of(connection: Connection) -> Plan:
    """Return the plan for the legacy table `users` of `connection`; nothing is changed."""
    have = {found["name"] for found in inspect(connection).get_columns("users")}
    wanted: list[Any] = [named(name) for name in LegacyRow._fields if name in have]
    rows = connection.execute(select(*wanted).select_from(table_of("users")).order_by(named("id")))
    empty = dict.fromkeys(LegacyRow._fields)
    return make_plan(LegacyRow(**{**empty, **row._mapping}) for row in rows)


def adopt_users(connection: Connection, columns: Sequence[Column[Any]]) -> Plan:
    """Add what the table `users` lacks of `columns` and fill our columns; return the plan that was followed."""
    plan = plan_of(connection)
    have = {found["name"]: found["type"] for found in inspect(connection).get_columns("users")}
    with _no_triggers(connection, "users"):
        for column in columns:
            if column.name not in have:
                op.add_column("users", column)
            elif connection.dialect.name == "postgresql":
                _widen(column, have[column.name])
        op.execute(text("UPDATE users SET role = 'unauth' WHERE role IS NULL"))
        if plan.keys:
            users = table_of("users", named("id"), *(named(key) for key in KEYS))
            values: dict[str, sa.BindParameter[Any]] = {key: sa.bindparam(key) for key in KEYS}
            connection.execute(sa.update(users).where(users.c.id == sa.bindparam("row_id")).values(values), plan.keys)
    return plan


def remake_codes(connection: Connection, columns: Sequence[Column[Any]]) -> int:
    """Give the legacy table of codes our shape, keeping its rows and further columns; return how many codes were open.

    Every open code is void: nobody could try it safely.
    """
    inspector = inspect(connection)
    have = {found["name"]: found["type"] for found in inspector.get_columns(_CODES)}
    open_codes = select(sa.func.count()).select_from(table_of(_CODES))
    if "used" in have:
        open_codes = open_codes.where(text("used IS NOT TRUE"))
    voided: int = connection.execute(open_codes).scalar_one()
    indexes = [index for index in inspector.get_indexes(_CODES) if not index.get("duplicates_constraint")]
    names = {column.name for column in columns}
    further = [Column(name, kind) for name, kind in have.items() if name not in names]
    with _no_triggers(connection, _CODES):
        for index in indexes:
            op.drop_index(str(index["name"]), _CODES)
        op.rename_table(_CODES, _OLD_CODES)
        new = op.create_table(_CODES, *columns, *further)
        old = table_of(_OLD_CODES, *(named(name) for name in have))
        filled = [column.name for column in new.columns if column.name != "id" or "id" in have]
        connection.execute(sa.insert(new).from_select(filled, select(*(_value(name, old) for name in filled))))
        op.drop_table(_OLD_CODES)
    for index in indexes:
        name, held = str(index["name"]), index["column_names"]
        if not name.startswith(f"ix_{_CODES}_") and all(held):
            op.create_index(name, _CODES, [str(one) for one in held], unique=bool(index["unique"]))
    if connection.dialect.name == "postgresql":
        sequence = sa.func.pg_get_serial_sequence(_CODES, "id")
        connection.execute(select(sa.func.setval(sequence, sa.func.max(new.c.id))))
    return voided


def _value(name: str, old: sa.TableClause) -> Any:
    """Return what a row of the new table gets for column `name` from its `old` row."""
    if name == "used":
        return sa.true()
    if name == "user_id" and name in old.c:
        owner = table_of("users", named("id"))
        return select(owner.c.id).where(owner.c.id == old.c.user_id).scalar_subquery()
    filling = _FILLING.get(name, sa.null())
    return sa.func.coalesce(old.c[name], filling) if name in old.c else filling


def _widen(column: Column[Any], old: Any) -> None:
    """Make an old PostgreSQL column hold what ours must: longer text, instants with their zone."""
    length = getattr(column.type, "length", None)
    if isinstance(old, sa.DateTime) and not old.timezone:
        op.alter_column("users", column.name, type_=column.type, postgresql_using=f"{column.name} AT TIME ZONE 'UTC'")
    elif isinstance(old, sa.String) and old.length and (length is None or length > old.length):
        op.alter_column("users", column.name, type_=column.type)


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


@contextmanager
def _no_triggers(connection: Connection, table: str) -> Iterator[None]:
    """Let none of the old system's triggers run on our own changes."""
    if connection.dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        op.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        return
    stored = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name ORDER BY rowid")
    triggers = connection.execute(stored, {"name": table}).all()
    for name, _ in triggers:
        connection.exec_driver_sql(f"DROP TRIGGER {_quoted(connection, name)}")
    yield
    for _, sql in triggers:
        connection.exec_driver_sql(sql)
