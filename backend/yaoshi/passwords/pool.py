"""A bounded place for slow hashing: so many at once, so many waiting, the rest is told to come back."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, TypeVar

from yaoshi.core import random
from yaoshi.core.db import is_writing
from yaoshi.core.errors import Overloaded

T = TypeVar("T")
QUEUE_PER_WORKER = 4


class HashPool:
    """Runs hashes on threads of its own, so that their memory is bounded whatever the server's thread count.

    Taking a place comes before the work: a journey can be sure of it before it spends anything. `workers` hashes run
    at once and `queue` more may wait, by default four for each worker.
    """

    def __init__(self, workers: int, queue: int | None = None) -> None:
        self._threads = ThreadPoolExecutor(workers, "hash")
        self._places = BoundedSemaphore(workers + (workers * QUEUE_PER_WORKER if queue is None else queue))

    @contextmanager
    def slot(self) -> Iterator[Callable[..., Any]]:
        """Yield `run(function, *arguments)`, which works on a hash thread. Raises Overloaded at once when full."""
        if not self._places.acquire(blocking=False):
            raise Overloaded(retry_after=random.between(1, 5))
        try:
            yield self._run
        finally:
            self._places.release()

    def close(self) -> None:
        """End the threads; hashes at hand are finished."""
        self._threads.shutdown()

    def _run(self, function: Callable[..., T], *arguments: object) -> T:
        if is_writing():
            raise RuntimeError("hashing inside a write transaction")
        return self._threads.submit(function, *arguments).result()
