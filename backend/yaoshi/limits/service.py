"""Spending from counters: always before the thing is tried, so that parallel tries can't slip past."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from limits import RateLimitItem, parse
from limits.strategies import FixedWindowRateLimiter

from yaoshi.core.errors import Kind, Problem
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller
from yaoshi.limits.settings import LimitSettings
from yaoshi.limits.storage import Counters

SHARED_FACTOR = 10


class TooManyAttempts(Problem):
    """A counter is used up; the answer says after how many seconds it is worth trying again."""

    kind, code = Kind.LIMITED, "too_many_attempts"
    phrase = Phrase("Too many attempts. Please try again later.", "尝试次数过多，请稍后再试。")


@dataclass(slots=True)
class Attempt:
    """Counts reserved for one try. They are given back at the end unless the try is kept as a failure."""

    spent: list[tuple[RateLimitItem, str]] = field(default_factory=list)
    kept: bool = False

    def keep(self) -> None:
        """Let the counts stand: what was tried did fail."""
        self.kept = True


class Limiter:
    """Counts in fixed windows that begin with the first try."""

    def __init__(self, settings: LimitSettings, storage: Counters) -> None:
        self._storage = storage
        self._windows = FixedWindowRateLimiter(storage)
        self._rates = {
            name.removeprefix("limit_"): parse(getattr(settings, name))
            for name in LimitSettings.model_fields
            if name.startswith("limit_")
        }

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Yield an attempt to spend on; its counts return unless it is kept, whatever is raised."""
        attempt = Attempt()
        try:
            yield attempt
        finally:
            if not attempt.kept:
                for rate, key in attempt.spent:
                    self._storage.decr(rate.key_for(key))

    def admits_code(self, caller: Caller, channel: str, counter: tuple[str, str]) -> bool:
        """Spend one code of the caller's address and of the account; return whether there was one left of both."""
        try:
            with self.attempt() as attempt:
                attempt.keep()
                self.spend_by_address(attempt, caller, "reset_address")
                self.spend(attempt, "reset_account", channel, *counter)
        except TooManyAttempts:
            return False
        return True

    def spend_by_address(self, attempt: Attempt, caller: Caller, name: str) -> None:
        """Spend one of the caller's address. Raises TooManyAttempts."""
        if caller.relaxed:
            return
        rate = self._rates[name]
        if caller.shared:
            rate = type(rate)(rate.amount * SHARED_FACTOR, rate.multiples)
        self._spend(attempt, rate, f"{name} {caller.source}")

    def spend(self, attempt: Attempt, name: str, *key: str) -> None:
        """Spend one of the counter `name` under `key`. Raises TooManyAttempts; earlier counts of the attempt return."""
        self._spend(attempt, self._rates[name], " ".join((name, *key)))

    def is_spent(self, attempt: Attempt, name: str, *key: str) -> TooManyAttempts | None:
        """Spend one like `spend`; where the counter is used up return the refusal, for whom it may not concern."""
        try:
            self.spend(attempt, name, *key)
        except TooManyAttempts as refusal:
            return refusal
        return None

    def refusal(self, name: str, *key: str) -> TooManyAttempts | None:
        """Return the refusal where a counter is used up; nothing is counted."""
        rate, under = self._rates[name], " ".join((name, *key))
        return None if self._windows.test(rate, under) else self._refused(rate, under)

    def count(self, name: str, *key: str) -> None:
        """Count one that has happened."""
        self._windows.hit(self._rates[name], " ".join((name, *key)))

    def _spend(self, attempt: Attempt, rate: RateLimitItem, key: str) -> None:
        if not self._windows.hit(rate, key):
            raise self._refused(rate, key)
        attempt.spent.append((rate, key))

    def _refused(self, rate: RateLimitItem, key: str) -> TooManyAttempts:
        left = self._windows.get_window_stats(rate, key).reset_time - time.time()  # noqa: TID251  # the storage's own clock
        return TooManyAttempts(retry_after=max(1, math.ceil(left)))
