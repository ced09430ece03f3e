"""Writing the audit log."""

from dataclasses import asdict

from sqlalchemy import insert

from yaoshi.audit.models import AuditEntry
from yaoshi.core import random
from yaoshi.core.db import Work
from yaoshi.core.types import Event

_APPEND = insert(AuditEntry)


def write(work: Work, fact: Event) -> None:
    """Append `fact` in the transaction that made it true."""
    detail = {name: value for name, value in asdict(fact).items() if name != "user_id"}
    work.db.execute(
        _APPEND,
        {
            "id": str(random.new_id(work.now)),
            "at": work.now,
            "name": fact.name,
            "user_id": fact.user_id,
            "address": work.caller.address,
            "request_id": work.caller.request_id,
            "detail": detail,
        },
    )
