"""Changing a legacy database: only columns and tables of ours are added, everything else stays as it was."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic import op
from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    DateTime,
    String,
    bindparam,
    func,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy import column as named
from sqlalchemy import table as table_of

from yaoshi.core.errors import SettingsRefused
from yaoshi.migrations.adoption import KEYS, LegacyRow, Plan, make_plan

_CODES, _OLD_CODES = "password_reset_codes", "password_reset_codes_before_yaoshi"
_ADDED = ("sessions", "signing_keys", "audit_entries", "installation")
_DEMANDED = {"id", "username", "email", "password_hash"}
# What a legacy code lacks: it is void anyhow, so that nothing but the row's existence matters.
_FILLING = {"subject": "''", "attempts": "0", "channel": "''", "contact_value": "''", "code_hash": "''"}


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
            values: dict[str, BindParameter[Any]] = {key: bindparam(key) for key in KEYS}
            connection.execute(update(users).where(users.c.id == bindparam("row_id")).values(values), plan.keys)
    return plan


def remake_codes(connection: Connection, columns: Sequence[Column[Any]]) -> int:
    """Give the legacy table of codes our shape, keeping its rows and further columns; return how many codes were open.

    Every open code is void: nobody could try it safely.
    """
    inspector = inspect(connection)
    have = {found["name"]: found["type"] for found in inspector.get_columns(_CODES)}
    codes = select(func.count()).select_from(table_of(_CODES))
    voided = connection.execute(codes.where(text("used IS NOT TRUE")) if "used" in have else codes).scalar_one()
    indexes = [index for index in inspector.get_indexes(_CODES) if not index.get("duplicates_constraint")]
    names = {column.name for column in columns}
    further = [Column(name, kind) for name, kind in have.items() if name not in names]
    values: dict[str, str] = {name: _value(name, have) for name in names if name != "id" or "id" in have}
    values |= {column.name: _quoted(connection, column.name) for column in further}
    with _no_triggers(connection, _CODES):
        for index in indexes:
            op.drop_index(str(index["name"]), _CODES)
        op.rename_table(_CODES, _OLD_CODES)
        op.create_table(_CODES, *columns, *further)
        into = ", ".join(_quoted(connection, name) for name in values)
        op.execute(text(f"INSERT INTO {_CODES} ({into}) SELECT {', '.join(values.values())} FROM {_OLD_CODES}"))  # noqa: S608
        op.drop_table(_OLD_CODES)
    for index in indexes:
        if not str(index["name"]).startswith(f"ix_{_CODES}_") and all(index["column_names"]):
            op.create_index(str(index["name"]), _CODES, index["column_names"], unique=index["unique"])  # type: ignore[arg-type]
    if connection.dialect.name == "postgresql":
        op.execute(f"SELECT setval(pg_get_serial_sequence('{_CODES}', 'id'), max(id)) FROM {_CODES}")  # noqa: S608
    return int(voided)


def _value(name: str, have: dict[str, Any]) -> str:
    if name == "used":
        return "TRUE"
    if name == "user_id":
        owner = f"SELECT users.id FROM users WHERE users.id = {_OLD_CODES}.user_id"  # noqa: S608
        return f"({owner})" if name in have else "NULL"
    if name in ("expires_at", "created_at"):
        return f"coalesce({name}, CURRENT_TIMESTAMP)" if name in have else "CURRENT_TIMESTAMP"
    if name in _FILLING:
        return f"coalesce({name}, {_FILLING[name]})" if name in have else _FILLING[name]
    return name


def _widen(column: Column[Any], old: Any) -> None:
    """Make an old PostgreSQL column hold what ours must: longer text, instants with their zone."""
    wanted = column.type
    if isinstance(old, DateTime) and not old.timezone:
        op.alter_column("users", column.name, type_=wanted, postgresql_using=f"{column.name} AT TIME ZONE 'UTC'")
    elif isinstance(old, String) and old.length and isinstance(wanted, String) and _is_longer(wanted, old.length):
        op.alter_column("users", column.name, type_=wanted)


def _is_longer(wanted: String, length: int) -> bool:
    return wanted.length is None or wanted.length > length


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
