"""The table of sessions.

A token names its session, so ending the row ends the token.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from yaoshi.core.db import Model


class LoginSession(Model):
    """One signed-in device. It lives while `ended_at` is null and `expires_at`, which nothing moves, lies ahead.

    `counter` is the number of the newest refresh token, given out at `rotated_at`; no token is kept, none can leak
    from here.
    """

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id", "ended_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    device: Mapped[str] = mapped_column(String(512))
    address: Mapped[str] = mapped_column(String(45))
    counter: Mapped[int] = mapped_column(server_default="0")
    rotated_at: Mapped[datetime | None]
