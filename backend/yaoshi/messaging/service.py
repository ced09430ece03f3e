"""Messages: promised in a transaction, written and handed to a provider later."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from yaoshi.core.db import Work
from yaoshi.core.types import Clock
from yaoshi.messaging.budget import Budget, OverBudget
from yaoshi.messaging.letters import Letter, Letters, Unwritable
from yaoshi.messaging.providers.courier import Courier, Refused, Unreached, Unsure
from yaoshi.outbox.policy import State
from yaoshi.outbox.service import Claimed, Outbox, Parcel

MOST_SECONDS = 30.0
_REST_SECONDS = 15.0

Ending = tuple[State, str, str]
"""How an attempt ended: what becomes of the message, why, and by which provider."""


class Promised(Protocol):
    """A code as the room of codes issues it."""

    @property
    def code_id(self) -> int:
        """Return its id."""
        ...

    @property
    def plain(self) -> str:
        """Return what the owner types."""
        ...

    @property
    def expires_at(self) -> datetime:
        """Return when it ends."""
        ...


class Messages:
    """Promises messages, and delivers what was promised. `is_open` says whether a code is still worth sending."""

    def __init__(
        self,
        outbox: Outbox,
        letters: Letters,
        couriers: Mapping[str, Sequence[Courier]],
        budget: Budget,
        clock: Clock,
        is_open: Callable[[int], bool],
    ) -> None:
        self._outbox, self._letters, self._couriers = outbox, letters, couriers
        self._budget, self._clock, self._is_open = budget, clock, is_open
        self._resting: dict[Courier, float] = {}

    def offers(self, channel: str) -> bool:
        """Return whether anything carries messages of `channel`."""
        return bool(self._couriers.get(channel))

    def promise_code(self, work: Work, kind: str, to: tuple[str, str], code: "Promised") -> None:
        """Promise a code to (channel, address), in the caller's language; without an address it goes nowhere."""
        minutes = str(round((code.expires_at - work.now).total_seconds() / 60))
        values = {"code": code.plain, "minutes": minutes}
        self._outbox.put(work, Parcel(kind, *to, work.caller.language, values, code.expires_at, code.code_id))

    def promise_notice(
        self, work: Work, kind: str, to: tuple[str, str], values: dict[str, str], until: datetime
    ) -> None:
        """Promise a notice to (channel, address), in the caller's language; it is of no use after `until`."""
        self._outbox.put(work, Parcel(kind, *to, work.caller.language, values, until))

    def proved(self, channel: str, to: str) -> None:
        """Say that a code which went to this address was typed in. Never called inside a write."""
        if channel == "phone":
            self._budget.proved(to)

    def deliver(self, claimed: Claimed) -> Ending:
        """Try to deliver a message once; at most `MOST_SECONDS` for each provider. Raises StorageUnavailable."""
        parcel = claimed.parcel
        if parcel is None:
            return State.DEAD, "sealed with a secret that is not ours", ""
        if self._clock.now() >= parcel.useless_at:
            return State.DROPPED, "too late", ""
        if not parcel.to or (parcel.code_id is not None and not self._is_open(parcel.code_id)):
            return State.DROPPED, "not wanted any more", ""
        try:
            letter = self._letters.write(claimed.id, parcel.kind, parcel.language, parcel.to, parcel.values)
        except Unwritable as broken:
            return State.DEAD, str(broken), ""
        return self.send(parcel.channel, letter, claimed.source)

    def send(self, channel: str, letter: Letter, source: str) -> Ending:
        """Hand `letter` to the first provider that takes it. Raises StorageUnavailable."""
        couriers = self._couriers.get(channel, ())
        if not couriers:
            return State.DEAD, f"no provider for {channel}", ""
        if channel != "phone":
            return self._try_all(couriers, letter)
        try:
            spent = self._budget.spend(letter.to, source)
        except OverBudget as over:
            return State.DROPPED, str(over), ""
        ending = self._try_all(couriers, letter)
        if ending[0] is not State.SENT and not ending[1].startswith(Unsure.__name__):
            self._budget.give_back(spent)
        return ending

    def _try_all(self, couriers: Sequence[Courier], letter: Letter) -> Ending:
        now = time.monotonic()
        reasons, refused = [], 0
        for courier in sorted(couriers, key=lambda one: self._resting.get(one, 0.0) > now):
            try:
                _within(MOST_SECONDS, courier, letter)
            except Unsure as unsure:
                # It may be on its way: asking another provider would send it twice without a common key.
                self._resting[courier] = now + _REST_SECONDS
                return State.WAITING, f"{Unsure.__name__}: {unsure}", courier.name
            except Unreached as unreached:
                self._resting[courier] = now + _REST_SECONDS
                reasons.append(f"{courier.name}: {unreached}")
            except Refused as never:
                refused += 1
                reasons.append(f"{courier.name}: {never}")
            else:
                return State.SENT, "", courier.name
        return (State.DEAD if refused == len(couriers) else State.WAITING), "; ".join(reasons), ""


def _within(seconds: float, courier: Courier, letter: Letter) -> None:
    """Send, and stop waiting after `seconds`: time-outs of sockets begin anew with every byte that drips in."""
    ended: list[BaseException | None] = []

    def send() -> None:
        try:
            courier.send(letter)
        except BaseException as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=send, name=f"sending by {courier.name}", daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise Unsure(f"no answer in {seconds:.0f} s")
    if ended[0]:
        raise ended[0]
