"""What happens when a fact is recorded: in the same transaction, and only by inserting rows.

A promise to the caller is a visible call in the journey; what bystanders may care about hangs on the fact, here.
Today the one bystander is the audit log. A fact is announced when its transaction is about to commit, so a fact of
work that is undone never existed, and a fact of work that is acknowledged survives a crash.
"""

from yaoshi.audit import service as audit
from yaoshi.core.db import Work


def announce(work: Work) -> None:
    """Write every fact that `work` recorded to the audit log, in the order in which they happened.

    Raises StorageUnavailable through the transaction when a row can't be written: then nothing else of it stands
    either, since a change without its audit row is a change that nobody can explain.
    """
    for fact in work.facts:
        audit.write(work, fact)
