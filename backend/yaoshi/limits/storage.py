"""Where counts live: in this process's memory, as a storage of the limits library.

The library's own memory starts a thread to sweep all its counters after nearly every count, and two first counts at
once may make one; behind a single lock a count is a dictionary entry.
"""

import threading
import time

from limits.storage import Storage

_SWEEP_SECONDS = 60


class Memory(Storage):
    """Counts of one process, each until its window ends. Instants are in seconds of the system clock."""

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._turn = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}
        self._sweep_at = 0.0

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return what can go wrong here."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add `amount` and return the new count; the first count opens a window of `expiry` seconds."""
        with self._turn:
            now = time.time()  # noqa: TID251  # the library compares with this clock
            if now >= self._sweep_at:
                self._counts = {name: entry for name, entry in self._counts.items() if entry[1] > now}
                self._sweep_at = now + _SWEEP_SECONDS
            count, ends = self._counts.get(key, (0, 0.0))
            entry = (count + amount, ends) if ends > now else (amount, now + expiry)
            self._counts[key] = entry
            return entry[0]

    def decr(self, key: str) -> None:
        """Give one count back, unless its window is over."""
        with self._turn:
            count, ends = self._counts.get(key, (0, 0.0))
            if count:
                self._counts[key] = (count - 1, ends)

    def get(self, key: str) -> int:
        """Return the count of the open window."""
        count, ends = self._counts.get(key, (0, 0.0))
        return count if ends > time.time() else 0  # noqa: TID251

    def get_expiry(self, key: str) -> float:
        """Return when the window of `key` ends; now when none is open."""
        return max(self._counts.get(key, (0, 0.0))[1], time.time())  # noqa: TID251

    def check(self) -> bool:
        """Return whether counting works."""
        return True

    def reset(self) -> None:
        """Forget every count."""
        self._counts = {}

    def clear(self, key: str) -> None:
        """Forget one count."""
        self._counts.pop(key, None)
