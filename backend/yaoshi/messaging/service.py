"""Messages: promised in a transaction, written and handed to a provider later."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from yaoshi.core.db import Work
from yaoshi.core.errors import StorageUnavailable
from yaoshi.core.types import Clock
from yaoshi.messaging.budget import Budget, OverBudget, alarm
from yaoshi.messaging.letters import Letter, Letters, Unwritable
from yaoshi.messaging.providers.courier import Console, Courier, Refused, Unreached, Unsure
from yaoshi.outbox.policy import State
from yaoshi.outbox.service import Claimed, Ending, Outbox, Parcel

MOST_SECONDS = 30.0
_REST_SECONDS = 15.0
T = TypeVar("T")


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

    def shown(self) -> list[Letter]:
        """Return what the developer's screen was shown, the newest first."""
        screens = {courier for couriers in self._couriers.values() for courier in couriers}
        return [one for screen in screens if isinstance(screen, Console) for one in list(screen.shown)]

    def carriers(self, channel: str, kind: str) -> list[str]:
        """Return the names of the providers that carry such messages by `channel`."""
        return [courier.name for courier in self._couriers.get(channel, ()) if courier.carries(kind)]

    def greet(self) -> list[tuple[str, str]]:
        """Reach every provider, and send nothing; return (name, what is wrong, empty for nothing) of each."""
        found = []
        for courier in (courier for couriers in self._couriers.values() for courier in couriers):
            try:
                courier.greet()
            except (Unreached, Unsure) as error:
                found.append((courier.name, str(error)))
            else:
                found.append((courier.name, ""))
        return found

    def promise_code(self, work: Work, kind: str, to: tuple[str, str], code: "Promised") -> None:
        """Promise a code to (channel, address), in the caller's language; without an address it goes nowhere."""
        minutes = str(round((code.expires_at - work.now).total_seconds() / 60))
        values = {"code": code.plain, "minutes": minutes}
        self._outbox.put(work, Parcel(kind, *to, work.caller.language, values, code.expires_at, code.code_id))

    def promise_notice(self, work: Work, notice: Parcel) -> None:
        """Promise a notice, in the owner's language: whoever causes it may be a stranger."""
        self._outbox.put(work, notice)

    def proved(self, channel: str, to: str) -> None:
        """Say that a code which went to this address was typed in. Never called inside a write."""
        if channel == "phone":
            with suppress(StorageUnavailable):  # what the code opened is done, and must not look undone
                self._budget.proved(to)

    def deliver(self, claimed: Claimed) -> Ending:
        """Try to deliver a message once; at most `MOST_SECONDS` for each provider. Raises StorageUnavailable."""
        parcel = claimed.parcel
        if parcel is None:
            return Ending(State.DEAD, "sealed with a secret that is not ours")
        late = self._clock.now() >= parcel.useless_at
        if late or not parcel.to or (parcel.code_id is not None and not self._is_open(parcel.code_id)):
            if claimed.receipt:
                return Ending(State.SENT, provider=claimed.provider)
            return Ending(State.DROPPED, "too late" if late else "not wanted any more")
        try:
            letter = self._letters.write(claimed.id, parcel.kind, parcel.language, parcel.to, parcel.values)
        except Unwritable as broken:
            return Ending(State.DEAD, str(broken))
        couriers = self._couriers.get(parcel.channel, ())
        unsure = [courier for courier in couriers if courier.name == claimed.provider]
        if claimed.receipt:
            following = self._following(couriers, claimed, letter)
            # What a provider took counts as sent, even where its receipt did not come and nobody else could help.
            return self._try_instead(following, letter, claimed) or Ending(State.SENT, provider=claimed.provider)
        if unsure:
            following = couriers[couriers.index(unsure[-1]) + 1 :]
            return self._try_again(unsure, following, letter, claimed)
        return self.send(parcel.channel, letter, claimed.source, is_code=parcel.code_id is not None)

    def send(self, channel: str, letter: Letter, source: str, *, is_code: bool = False) -> Ending:
        """Hand `letter` to the first provider that takes it. Raises StorageUnavailable."""
        couriers = self._couriers.get(channel, ())
        if not couriers:
            return Ending(State.DEAD, f"no provider for {channel}")
        if channel != "phone":
            return self._try_all(couriers, letter)
        try:
            return self._spend_and_try(couriers, letter, source, is_code=is_code)
        except OverBudget as over:
            # A warning is worth its wait; a code is not.
            return Ending(State.DROPPED if is_code else State.WAITING, str(over))

    def _spend_and_try(self, couriers: Sequence[Courier], letter: Letter, source: str, *, is_code: bool) -> Ending:
        """Count one more SMS, then hand it over. Raises OverBudget, StorageUnavailable."""
        spent = self._budget.spend(letter.to, source, is_code=is_code)
        ending = self._try_all(couriers, letter)
        if not _is_taken(ending) and not _is_unsure(ending):
            self._budget.give_back(spent)
        return ending

    def _try_again(
        self, unsure: Sequence[Courier], following: Sequence[Courier], letter: Letter, claimed: Claimed
    ) -> Ending:
        """Ask the provider that may have the message once more, then who comes next, as for a missing receipt.

        One that sends twice is asked but once, and that counts as one more SMS. Mail servers are one provider: a mail
        that comes by two of them has one Message-ID.
        """
        courier = unsure[0]
        try:
            again = self._try_all(unsure, letter) if courier.idempotent else self._spend_for(unsure, letter, claimed)
        except OverBudget as over:
            return Ending(State.SENT, f"nobody knows whether it arrived; {over}", courier.name)
        ending = again if _is_taken(again) else self._try_instead(following, letter, claimed)
        if ending:
            return ending
        if _is_unsure(again) and not courier.idempotent:
            return Ending(State.SENT, "nobody knows whether it arrived", courier.name)
        return again._replace(provider=courier.name)

    def _try_instead(self, following: Sequence[Courier], letter: Letter, claimed: Claimed) -> Ending | None:
        """Hand what another provider may have to one of those that follow; None when none of them takes it."""
        if not following:
            return None
        try:
            ending = self._spend_for(following, letter, claimed)
        except OverBudget:
            return None
        return ending if _is_taken(ending) else None

    def _spend_for(self, couriers: Sequence[Courier], letter: Letter, claimed: Claimed) -> Ending:
        is_code = claimed.parcel is not None and claimed.parcel.code_id is not None
        return self._spend_and_try(couriers, letter, claimed.source, is_code=is_code)

    def _following(self, couriers: Sequence[Courier], claimed: Claimed, letter: Letter) -> Sequence[Courier]:
        """Return who may try instead of the provider that took the message: nobody, once the telephone has it.

        Those before it have not got the message either where the very first attempt went past them.
        """
        places = [place for place, courier in enumerate(couriers) if courier.name == claimed.provider]
        if not places:
            return ()
        place = places[0]
        courier = couriers[place]
        try:
            delivered = _within(MOST_SECONDS, lambda: courier.delivered(claimed.receipt, letter))
        except Refused as refused:
            # Without a right to receipts nobody would be believed, and every SMS would be sent twice.
            alarm("sms_receipts_refused", provider=courier.name, reason=str(refused))
            delivered = True
        except (Unreached, Unsure):
            delivered = None
        if delivered:
            return ()
        return [*couriers[place + 1 :], *(couriers[:place] if claimed.attempts == 2 else ())]

    def _try_all(self, couriers: Sequence[Courier], letter: Letter) -> Ending:
        now = time.monotonic()
        reasons, refused = [], 0
        for courier in sorted(couriers, key=lambda one: self._resting.get(one, 0.0) > now):
            try:
                receipt = _within(MOST_SECONDS, partial(courier.send, letter))
            except Unsure as unsure:
                # It may be on its way: asking another provider would send it twice without a common key.
                self._resting[courier] = now + _REST_SECONDS
                return Ending(State.WAITING, f"{Unsure.__name__}: {unsure}", courier.name)
            except Unreached as unreached:
                self._resting[courier] = now + _REST_SECONDS
                reasons.append(f"{courier.name}: {unreached}")
            except Refused as never:
                refused += 1
                reasons.append(f"{courier.name}: {never}")
            else:
                if receipt and len(couriers) > 1:
                    return Ending(State.WAITING, "", courier.name, receipt)
                return Ending(State.SENT, provider=courier.name)
        return Ending(State.DEAD if refused == len(couriers) else State.WAITING, "; ".join(reasons))


def _is_taken(ending: Ending) -> bool:
    return ending.state is State.SENT or bool(ending.receipt)


def _is_unsure(ending: Ending) -> bool:
    return ending.reason.startswith(Unsure.__name__)


def _within(seconds: float, act: Callable[[], T]) -> T:
    """Speak to a provider, and stop waiting after `seconds`: time-outs of sockets begin anew with every byte.

    Raises Unsure then, and whatever `act` raises.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(act())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="speaking to a provider", daemon=True).start()
    try:
        return done.result(seconds)
    except TimeoutError as error:
        if done.done():
            raise
        raise Unsure(f"no answer in {seconds:.0f} s") from error
