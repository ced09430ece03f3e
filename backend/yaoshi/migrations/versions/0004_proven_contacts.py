"""Contacts that their owner has proved; wrong tries of codes that are counted over weeks."""

import sqlalchemy as sa
from alembic import op

from yaoshi.core.db import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_GUESSED = sa.text("attempts > 0")
_INDEXES = {
    "ix_password_reset_codes_guessed": ["created_at"],
    "ix_password_reset_codes_guessed_own": ["user_id", "created_at"],
}


def upgrade() -> None:
    """Add the columns; contacts of the accounts that are here already keep what they are good for."""
    op.add_column("users", sa.Column("email_verified_at", Instant))
    op.add_column("users", sa.Column("phone_verified_at", Instant))
    # By the default, not by an update: a team's own triggers on this table do not fire.
    op.add_column("users", sa.Column("unproven_contacts", sa.String(10), nullable=False, server_default="adopted"))
    for name, columns in _INDEXES.items():
        op.create_index(name, "password_reset_codes", columns, sqlite_where=_GUESSED, postgresql_where=_GUESSED)
    op.add_column("messages", sa.Column("receipt", sa.String(80), nullable=False, server_default=""))


def downgrade() -> None:
    """Go back to 0003: what was proved is forgotten."""
    op.drop_column("messages", "receipt")
    for name in _INDEXES:
        op.drop_index(name, "password_reset_codes")
    for column in ("unproven_contacts", "phone_verified_at", "email_verified_at"):
        op.drop_column("users", column)
