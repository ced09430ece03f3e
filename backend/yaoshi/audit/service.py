"""Writing the audit log: what bystanders may know hangs on recorded facts, in the same transaction."""

from dataclasses import asdict

from yaoshi.audit.models import AuditEntry
from yaoshi.core import random
from yaoshi.core.db import Work, insert_into
from yaoshi.core.types import Event

_APPEND = insert_into(AuditEntry)


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


def announce(work: Work) -> None:
    """Write every fact that `work` recorded, in the order in which they happened, as it is about to commit.

    A fact of work that is undone never existed; a fact of work that is acknowledged survives a crash. When a row
    can't be written nothing else of the work stands: a change without its audit row is one that nobody can explain.
    """
    for fact in work.facts:
        write(work, fact)
