"""The table `messages`."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from yaoshi.core.db import Model


class Message(Model):
    """One promised message. Its id is the idempotency key of every attempt to send it.

    `sealed` holds the recipient and what the words need, until the message is settled; then it is null. A message with
    a `code_id` is wanted while that code is open. `lease` names the claim that is sending it until `leased_until`.
    `place` orders what waits: codes before notices. With a `receipt` a provider has it, and may yet say that it failed.
    """

    __tablename__ = "messages"
    __table_args__ = (Index(None, "state", "channel", "place", "due_at"), Index(None, "created_at"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(10))
    place: Mapped[int]
    code_id: Mapped[int | None]
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(80), server_default="")
    provider: Mapped[str] = mapped_column(String(20), server_default="")
    receipt: Mapped[str] = mapped_column(String(80), server_default="")
    attempts: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    useless_at: Mapped[datetime]
    lease: Mapped[str | None] = mapped_column(String(36))
    leased_until: Mapped[datetime | None]
