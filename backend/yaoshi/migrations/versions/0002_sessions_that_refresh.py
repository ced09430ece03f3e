"""Sessions that refresh, signing keys that rotate, counters that processes share."""

import sqlalchemy as sa
from alembic import op

from yaoshi.core.db import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is missing; a session that is open goes on until its old end."""
    op.add_column("sessions", sa.Column("counter", sa.Integer, nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("rotated_at", Instant))
    op.add_column("signing_keys", sa.Column("retired_at", Instant))
    op.add_column("signing_keys", sa.Column("signs_from", Instant))
    op.execute("UPDATE signing_keys SET signs_from = created_at")
    with op.batch_alter_table("signing_keys") as keys:
        keys.alter_column("signs_from", existing_type=Instant(), nullable=False)
    op.create_table(
        "limit_counters",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
    )
    op.create_index("ix_limit_counters_ends_at", "limit_counters", ["ends_at"])


def downgrade() -> None:
    """Go back to 0001: open sessions go on, refresh tokens end, and a retired key would verify again."""
    op.drop_table("limit_counters")
    with op.batch_alter_table("signing_keys") as keys:
        keys.drop_column("signs_from")
        keys.drop_column("retired_at")
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("rotated_at")
        sessions.drop_column("counter")
