"""Adopt a legacy database, or create a new one."""

import sqlalchemy as sa
from alembic import context, op

from yaoshi.core.db import Instant, sqlite_path
from yaoshi.migrations.adoption import fill, keep_copy, keep_report, plan_of

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring any of the known beginnings to version 0001."""
    connection = op.get_bind()
    adopting = sa.inspect(connection).has_table("users")
    report = None
    if adopting:
        report = _adopt(connection)
    else:
        op.create_table("users", *_users(), sa.UniqueConstraint("username"), sa.UniqueConstraint("email"))
    if not sa.inspect(connection).has_table("password_reset_codes"):
        op.create_table("password_reset_codes", *_codes())
    _create_the_rest()
    _index()
    if report:
        context.config.attributes.setdefault("reports", []).append(report)


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


def _adopt(connection: sa.Connection) -> str:
    path = sqlite_path(str(connection.engine.url))
    copy = keep_copy(path) if path else None
    plan = plan_of(connection)
    have = {column["name"] for column in sa.inspect(connection).get_columns("users")}
    for column in _users():
        if column.name not in have:
            op.add_column("users", column)
    op.execute(sa.text("UPDATE users SET role = 'unauth' WHERE role IS NULL"))
    fill(connection, plan)
    if sa.inspect(connection).has_table("password_reset_codes"):
        _rebuild_codes()
    told = plan.told("were adopted")
    if copy is None:
        return told
    return f"{told}\nThe old file is kept as {copy}\nThis report is kept as {keep_report(copy, told)}"


def _rebuild_codes() -> None:
    """Give the legacy table our shape, keeping its rows; every open code is void, nobody could try it safely."""
    op.create_table("adopted_codes", *_codes())
    op.execute(
        sa.text(
            "INSERT INTO adopted_codes (id, user_id, channel, contact_value, code_hash, expires_at, used, created_at)"
            " SELECT id, (SELECT users.id FROM users WHERE users.id = user_id), coalesce(channel, ''),"
            " coalesce(contact_value, ''), coalesce(code_hash, ''), coalesce(expires_at, '1970-01-01 00:00:00.000000'),"
            " 1, coalesce(created_at, expires_at, '1970-01-01 00:00:00.000000') FROM password_reset_codes"
        )
    )
    op.drop_table("password_reset_codes")
    op.rename_table("adopted_codes", "password_reset_codes")


def _create_the_rest() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column(
            "user_id",
            sa.Integer,
            sa.ForeignKey("users.id", ondelete="CASCADE", name="fk_sessions_user_id"),
            nullable=False,
        ),
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
    op.execute(sa.text("DROP INDEX IF EXISTS ix_users_phone"))
    op.create_index("ix_users_phone", "users", ["phone"])
    for name in ("username_key", "username_skeleton", "email_key", "phone_key"):
        op.create_index(f"ix_users_{name}", "users", [name], unique=True)
    op.create_index("ix_password_reset_codes_user_id", "password_reset_codes", ["user_id"])
    op.create_index("ix_password_reset_codes_expires_at", "password_reset_codes", ["expires_at"])
    op.create_index("ix_password_reset_codes_subject_used", "password_reset_codes", ["subject", "used"])
    op.create_index("ix_sessions_user_id_ended_at", "sessions", ["user_id", "ended_at"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_audit_entries_user_id_at", "audit_entries", ["user_id", "at"])
