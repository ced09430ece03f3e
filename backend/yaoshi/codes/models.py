"""The table `password_reset_codes`, named as the legacy system named it."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from yaoshi.core.db import Model

_GUESSED = text("attempts > 0")


def _guessed(name: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=_GUESSED, postgresql_where=_GUESSED)


class Code(Model):
    """One code for one subject. It lives while `used` is false, `attempts` is under five and `expires_at` lies ahead.

    `subject` binds it to its user, channel and contact; a code asked for in vain has a subject of its own and no
    user, so that both cost the same. `used` also marks a code that a newer one, or another change, has voided.
    """

    __tablename__ = "password_reset_codes"
    __table_args__ = (
        Index(None, "subject", "used"),
        # Few codes are guessed at: counting those is looking at those.
        _guessed("ix_password_reset_codes_guessed", "created_at"),
        _guessed("ix_password_reset_codes_guessed_own", "user_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    channel: Mapped[str] = mapped_column(String(20))
    contact_value: Mapped[str] = mapped_column(String(254))
    code_hash: Mapped[str] = mapped_column(String(255))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[datetime]
    subject: Mapped[str] = mapped_column(String(64), server_default="")
    attempts: Mapped[int] = mapped_column(server_default="0")
