"""The outbox: a message is a row of the transaction that promised it; workers claim, send and settle it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, or_, select, update

from yaoshi.core import random
from yaoshi.core.db import Database, Instant, Prepared, Work, insert_into, stored_instant
from yaoshi.core.secretbox import SecretBox, Unsealable
from yaoshi.core.types import Caller, Clock
from yaoshi.outbox.models import Message
from yaoshi.outbox.policy import LEASE, RECEIPT_WAIT, State, due_again

_PURPOSE = "messages"
_BELOW = {True: 1_000_000, False: 1}
"""So many attempts a message must stay below."""
_PUT = insert_into(Message)
_CLAIMED = (
    Message.kind,
    Message.sealed,
    Message.useless_at,
    Message.code_id,
    Message.attempts,
    Message.provider,
    Message.receipt,
)
_COLUMNS = (
    Message.id,
    Message.kind,
    Message.channel,
    Message.state,
    Message.reason,
    Message.provider,
    Message.attempts,
    Message.created_at,
    Message.due_at,
    Message.useless_at,
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a journey promises: words of `kind` in `language`, their `values`, to an address of `channel`.

    `channel` is "email" or "phone". With a `code_id` it is sent only while that code is open; nobody's code makes a
    parcel that goes nowhere, and costs the same. It is of no use after `useless_at`.
    """

    kind: str
    channel: str
    to: str
    language: str
    values: dict[str, str]
    useless_at: datetime
    code_id: int | None = None


class Claimed(NamedTuple):
    """A message that one worker sends; `parcel` is None when its seal was made with a secret that is not ours.

    `source` is the counter key of the address that asked for it. With a `receipt` a `provider` took it before, and has
    not said whether it arrived.
    """

    id: str
    lease: str
    attempts: int
    source: str
    provider: str
    receipt: str
    parcel: Parcel | None


class Ending(NamedTuple):
    """How an attempt ended: what becomes of the message, why, by which provider, and with which receipt to ask for."""

    state: State
    reason: str = ""
    provider: str = ""
    receipt: str = ""


class Waiting(NamedTuple):
    """A message as the operator sees it: never its recipient, never its words."""

    id: str
    kind: str
    channel: str
    state: str
    reason: str
    provider: str
    attempts: int
    created_at: datetime
    due_at: datetime
    useless_at: datetime


class Outbox:
    """Alone writes the table `messages`."""

    def __init__(self, db: Database, clock: Clock, box: SecretBox) -> None:
        self._db, self._clock, self._box = db, clock, box
        # Leases go by the database's time, since workers' clocks differ; SQLite has only ours.
        self._own_time = db.writer.dialect.name == "sqlite"
        now = bindparam("now", type_=Instant)
        free = or_(Message.leased_until.is_(None), Message.leased_until < (now if self._own_time else func.now()))
        due = (Message.due_at <= now, Message.attempts < bindparam("below"))
        waits = (Message.state == State.WAITING.value, Message.channel == bindparam("channel"), *due)
        self._due = select(Message.id).where(*waits, free).limit(1)
        self._look = Prepared(self._due)

    def put(self, work: Work, parcel: Parcel) -> str:
        """Keep a promise in the transaction that makes it; return the message's id."""
        message_id = str(random.new_id(work.now))
        inner = {"to": parcel.to, "language": parcel.language, "values": parcel.values, "source": work.caller.source}
        row = {
            "id": message_id,
            "kind": parcel.kind,
            "channel": parcel.channel,
            "place": 1 if parcel.code_id is None else 0,
            "code_id": parcel.code_id,
            "sealed": self._box.seal(_PURPOSE, json.dumps(inner).encode()),
            "state": State.WAITING.value,
            "created_at": work.now,
            "due_at": work.now,
            "useless_at": parcel.useless_at,
            "lease": None,
            "leased_until": None,
        }
        work.db.execute(_PUT, row)
        return message_id

    def is_due(self, channel: str, *, again: bool = True) -> bool:
        """Return whether a message waits to be claimed: a look that takes no lock."""
        now = stored_instant(self._clock.now(), self._db.reader.dialect)
        return bool(self._db.ask(self._look, {"channel": channel, "now": now, "below": _BELOW[again]}))

    def claim(self, caller: Caller, channel: str, *, again: bool = True) -> Claimed | None:
        """Return the message whose turn it is, now nobody else's for the time of a lease; None when none is due.

        Without `again` only one that nobody has tried yet.
        """
        with self._db.write(caller) as work:
            due = self._due.order_by(Message.place, Message.due_at, Message.id).with_for_update(skip_locked=True)
            message_id = work.db.execute(due, {"channel": channel, "now": work.now, "below": _BELOW[again]}).scalar()
            if message_id is None:
                return None
            lease = str(random.new_id(work.now))
            claimed = (
                update(Message)
                .where(Message.id == message_id)
                .values(
                    lease=lease,
                    leased_until=work.now + LEASE if self._own_time else func.now() + LEASE,
                    attempts=Message.attempts + 1,
                )
                .returning(*_CLAIMED)
            )
            row = work.db.execute(claimed).one()
        try:
            inner: dict[str, Any] = json.loads(self._box.unseal(_PURPOSE, row.sealed or b""))
        except Unsealable:
            return Claimed(message_id, lease, row.attempts, "", row.provider, row.receipt, None)
        source = inner.pop("source")
        parcel = Parcel(row.kind, channel, **inner, useless_at=row.useless_at, code_id=row.code_id)
        return Claimed(message_id, lease, row.attempts, source, row.provider, row.receipt, parcel)

    def settle(self, caller: Caller, claimed: Claimed, ending: Ending) -> bool:
        """Say how an attempt ended; a message that goes on waiting is due again later, or dropped if too late.

        With a receipt it waits for that, and counts as sent if that is not in time. What is settled keeps no recipient
        and no words, unless it is dead: the operator may try it again. Return whether the claim still held.
        """
        state, reason, provider, receipt = ending
        with self._db.write(caller) as work:
            change: dict[str, Any] = {"reason": reason[:80], "provider": provider, "receipt": receipt[:80]}
            change |= {"lease": None, "leased_until": None}
            if state is State.WAITING:
                again = due_again(claimed.attempts, work.now, random.fraction())
                due_at = change["due_at"] = work.now + RECEIPT_WAIT if receipt else again
                if claimed.parcel is None or due_at >= claimed.parcel.useless_at:
                    state = State.SENT if receipt else State.DROPPED
            if state in (State.SENT, State.DROPPED):
                change["sealed"] = None
            held = update(Message).where(Message.id == claimed.id, Message.lease == claimed.lease)
            return work.db.execute(held.values(state=state.value, **change)).rowcount == 1

    def receive(self, caller: Caller, message_id: str, provider: str, *, delivered: bool) -> bool:
        """Take the receipt of a message that is on its way; return whether there was such a message.

        What arrived is sent, even while a worker still waits for the provider's answer: its claim ends here. What did
        not, is due at once for the next provider, unless that has it already.
        """
        on_its_way = (Message.id == message_id, Message.state == State.WAITING.value)
        with self._db.write(caller) as work:
            if delivered:
                taken = update(Message).where(*on_its_way, or_(Message.receipt != "", Message.lease.is_not(None)))
                sent = {"state": State.SENT.value, "sealed": None, "lease": None, "leased_until": None}
                return work.db.execute(taken.values(**sent, provider=provider)).rowcount == 1
            failed = update(Message).where(*on_its_way, Message.receipt != "", Message.lease.is_(None))
            failed = failed.where(Message.provider == provider)
            return work.db.execute(failed.values(due_at=work.now)).rowcount == 1

    def listing(self, state: str | None, most: int) -> list[Waiting]:
        """Return messages, the newest first."""
        with self._db.read() as db:
            rows = select(*_COLUMNS).order_by(Message.id.desc()).limit(most)
            return [Waiting._make(row) for row in db.execute(rows.where(Message.state == state) if state else rows)]

    def find(self, message_id: str) -> Waiting | None:
        """Return the message with this id."""
        with self._db.read() as db:
            row = db.execute(select(*_COLUMNS).where(Message.id == message_id)).first()
            return Waiting._make(row) if row else None

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many messages there are by (channel, state)."""
        with self._db.read() as db:
            rows = db.execute(
                select(Message.channel, Message.state, func.count()).group_by(Message.channel, Message.state)
            )
            return {(channel, state): number for channel, state, number in rows}

    def retry(self, caller: Caller, message_id: str) -> bool:
        """Let a dead message wait again, from its first attempt; return whether there was one that is still of use."""
        with self._db.write(caller) as work:
            dead = update(Message).where(
                Message.id == message_id,
                Message.state == State.DEAD.value,
                Message.useless_at > work.now,
                Message.sealed.is_not(None),
            )
            again = dead.values(state=State.WAITING.value, attempts=0, due_at=work.now, reason="")
            return work.db.execute(again).rowcount == 1

    def purge(self, work: Work, before: datetime) -> int:
        """Delete messages that are settled, or useless, since `before`; empty those that died and are useless now."""
        useless = update(Message).where(Message.useless_at < work.now, Message.state == State.DEAD.value)
        work.db.execute(useless.values(sealed=None))
        old = delete(Message).where(Message.useless_at < before, Message.created_at < before)
        return work.db.execute(old).rowcount
