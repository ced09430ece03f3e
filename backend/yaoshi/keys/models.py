"""Keys that the server made, and keeps so that a copy of the database alone signs nothing."""

from datetime import datetime

from sqlalchemy import LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from yaoshi.core.db import Model


class SigningKey(Model):
    """One key pair. The highest number signs; every key of the table verifies.

    `number` counts from 1 and is the primary key, so that of two processes that start at once only one makes key 1.
    The sealed half opens with SECRET_KEY alone.
    """

    __tablename__ = "signing_keys"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kid: Mapped[str] = mapped_column(String(64), unique=True)
    algorithm: Mapped[str] = mapped_column(String(10))
    public_jwk: Mapped[str] = mapped_column(Text)
    sealed_private: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
