"""The table `users`, named as the legacy system named it so that a team's other code keeps reading it."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from yaoshi.accounts.policy import Role, Unproven
from yaoshi.core.db import Model


class User(Model):
    """One account.

    `username`, `email` and `phone` are kept as people know them; beside each stands its one canonical form, unique,
    by which accounts are found and compared. A canonical form is null only for an adopted row that an older row
    forestalled. A contact is proven from its `…_verified_at` on; `unproven_contacts` says what the others are good for.
    Notices are in `notice_language`, null for the installation's.
    `password_hash` may be unusable (empty, cut off) in adopted rows; `created_at` and `role` are theirs.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    phone: Mapped[str | None] = mapped_column(String(30), index=True)
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(20), server_default=Role.UNAUTH.value)
    created_at: Mapped[datetime | None]

    username_key: Mapped[str | None] = mapped_column(String(255), index=True, unique=True)
    username_skeleton: Mapped[str | None] = mapped_column(String(255), index=True, unique=True)
    email_key: Mapped[str | None] = mapped_column(String(254), index=True, unique=True)
    phone_key: Mapped[str | None] = mapped_column(String(20), index=True, unique=True)
    requested_role: Mapped[str | None] = mapped_column(String(20))
    disabled_at: Mapped[datetime | None]
    email_verified_at: Mapped[datetime | None]
    phone_verified_at: Mapped[datetime | None]
    unproven_contacts: Mapped[str] = mapped_column(String(10), server_default=Unproven.ADOPTED.value)
    notice_language: Mapped[str | None] = mapped_column(String(10))
