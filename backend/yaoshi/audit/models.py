"""The audit log: append-only."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from yaoshi.core.db import Model


class AuditEntry(Model):
    """One fact, about whom, who caused it and from where. Never updated, never deleted by a use case.

    `user_id` is no foreign key: the log outlives the account that it speaks of.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (Index(None, "user_id", "at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    at: Mapped[datetime]
    name: Mapped[str] = mapped_column(String(60))
    user_id: Mapped[int | None]
    address: Mapped[str] = mapped_column(String(45))
    request_id: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
