"""The language in which owners are told what happens to their account.

Null is the installation's language: of adopted accounts, and of those that the operator made, nobody knows better.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nobody knows the language of accounts that are here already, so they have the installation's.

    Null says so, rather than the name of that language, which is a setting and may change. No row is written: a team's
    own triggers on this table do not fire.
    """
    op.add_column("users", sa.Column("notice_language", sa.String(10)))


def downgrade() -> None:
    """Go back to 0004: every notice is in the installation's language again."""
    op.drop_column("users", "notice_language")
