"""Keys that the server made, and keeps so that a copy of the database alone signs nothing."""

from datetime import datetime

from sqlalchemy import LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from yaoshi.core.db import Model


class SigningKey(Model):
    """One key pair. It is published when it is made, signs from `signs_from` on until a newer one does, and verifies
    until the last token that it signed is over, or until an operator retires it.

    `number` counts from 1 and is the primary key, so that of two processes that make the next key one does. The
    sealed half opens with the installation's secret alone, and is emptied when the key is over.
    """

    __tablename__ = "signing_keys"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kid: Mapped[str] = mapped_column(String(64), unique=True)
    algorithm: Mapped[str] = mapped_column(String(10))
    public_jwk: Mapped[str] = mapped_column(Text)
    sealed_private: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    signs_from: Mapped[datetime]
    retired_at: Mapped[datetime | None]
