"""Adopt a legacy database, or create a new one."""

import sqlalchemy as sa
from alembic import context, op

from yaoshi.core.db import Instant
from yaoshi.core.engines import sqlite_path
from yaoshi.migrations.adoption import Plan
from yaoshi.migrations.copies import keep_copy, keep_report
from yaoshi.migrations.legacy import adopt_users, refuse_strangers, remake_codes

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOST_LINES = 20


def upgrade() -> None:
    """Bring any of the known beginnings to version 0001."""
    connection = op.get_bind()
    refuse_strangers(connection)
    found = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
    if found:
        _adopt(connection, found)
    if "users" not in found:
        op.create_table("users", *_users(), sa.UniqueConstraint("username"), sa.UniqueConstraint("email"))
    if "password_reset_codes" not in found:
        op.create_table("password_reset_codes", *_codes())
    _create_the_rest()
    _index()


def downgrade() -> None:
    """Refuse: the way back is the copy that was kept."""
    raise RuntimeError("There is no way down from 0001: restore the file kept as <name>.before-yaoshi-<date>.")


def _users() -> list[sa.Column]:  # type: ignore[type-arg]
    return [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("username", sa.String(80), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("phone", sa.String(30)),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.String(20), nullable=False, server_default="unauth"),
        sa.Column("created_at", Instant),
        *_our_columns(),
    ]


def _our_columns() -> list[sa.Column]:  # type: ignore[type-arg]
    return [
        sa.Column("username_key", sa.String(255)),
        sa.Column("username_skeleton", sa.String(255)),
        sa.Column("email_key", sa.String(254)),
        sa.Column("phone_key", sa.String(20)),
        sa.Column("requested_role", sa.String(20)),
        sa.Column("disabled_at", Instant),
    ]


def _codes() -> list[sa.Column]:  # type: ignore[type-arg]
    owner = sa.ForeignKey("users.id", ondelete="CASCADE", name="fk_password_reset_codes_user_id")
    return [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, owner),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("contact_value", sa.String(254), nullable=False),
        sa.Column("code_hash", sa.String(255), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("used", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("subject", sa.String(64), nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    ]


def _adopt(connection: sa.Connection, found: set[str]) -> None:
    """Adopt what is found; keep a copy of a file first, and the report beside it."""
    path = sqlite_path(connection.engine.url.render_as_string(hide_password=False))
    copy = keep_copy(path) if path else None
    plan, notes = Plan(), []
    if "users" in found:
        plan = adopt_users(connection, _users())
    if "password_reset_codes" in found:
        notes.append(f"{remake_codes(connection, _codes())} open reset codes were voided.")
    reports = context.config.attributes.setdefault("reports", [])
    if copy is None:
        reports.append("\n".join([plan.told("were adopted"), *notes]))
        return
    kept = keep_report(copy, "\n".join([plan.told("were adopted"), *notes]))
    notes += [f"The old file is kept as {copy}", f"The whole report is kept as {kept}"]
    reports.append("\n".join([plan.told("were adopted", _MOST_LINES), *notes]))


def _create_the_rest() -> None:
    owner = sa.ForeignKey("users.id", ondelete="CASCADE", name="fk_sessions_user_id")
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.Integer, owner, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("last_seen_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("ended_at", Instant),
        sa.Column("device", sa.String(512), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
    )
    op.create_table(
        "signing_keys",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(10), nullable=False),
        sa.Column("public_jwk", sa.Text, nullable=False),
        sa.Column("sealed_private", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.UniqueConstraint("kid"),
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("user_id", sa.Integer),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("request_id", sa.String(40), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_table(
        "installation",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(255), nullable=False),
    )


def _index() -> None:
    for name in ("phone", "username_key", "username_skeleton", "email_key", "phone_key"):
        op.execute(sa.text(f"DROP INDEX IF EXISTS ix_users_{name}"))  # of another shape
        op.create_index(f"ix_users_{name}", "users", [name], unique=name != "phone")
    op.create_index("ix_password_reset_codes_user_id", "password_reset_codes", ["user_id"])
    op.create_index("ix_password_reset_codes_expires_at", "password_reset_codes", ["expires_at"])
    op.create_index("ix_password_reset_codes_subject_used", "password_reset_codes", ["subject", "used"])
    op.create_index("ix_sessions_user_id_ended_at", "sessions", ["user_id", "ended_at"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_audit_entries_user_id_at", "audit_entries", ["user_id", "at"])
