"""Sending what waits: threads of the server itself, or of processes of their own."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from yaoshi.core.errors import Problem
from yaoshi.core.types import Caller
from yaoshi.outbox.policy import State
from yaoshi.outbox.service import Claimed, Ending, Outbox

CHANNELS = ("email", "phone")
SENDERS, MOST_SENDERS = 4, 16
PATIENCE_SECONDS = 0.25
MOST_FAILURES = 10
LOOK_EVERY_SECONDS = 0.5
WORKER = Caller(address="", agent="yaoshi worker", language="en", request_id="worker")


class Worker:
    """Sends from several threads for each channel, so that neither holds up the other.

    One message at a time is between being handed over and being settled, so that a kill repeats one at most; whoever
    can't have that turn within `PATIENCE_SECONDS` goes on without it, so that a slow gateway delays nobody. Where all
    senders of a channel are held up another one begins, up to `MOST_SENDERS`; half of these are kept for messages that
    nobody has tried yet, so that addresses which are slow every time hold up no new message.

    `deliver` tries one message once and says how that ended; it may be slow, and is never called inside a write.
    """

    def __init__(self, outbox: Outbox, deliver: Callable[[Claimed], Ending]) -> None:
        self._outbox, self._deliver = outbox, deliver
        self._stop = threading.Event()
        self._turn, self._counting = threading.Lock(), threading.Lock()
        self._threads: dict[str, set[threading.Thread]] = {channel: set() for channel in CHANNELS}
        self._held_up = Counter[str]()

    def start(self) -> None:
        """Begin to send, on threads that end with the process."""
        with self._counting:
            for channel in CHANNELS:
                for _ in range(SENDERS):
                    self._add_sender(channel)

    def ask_to_stop(self) -> None:
        """Begin nothing more."""
        self._stop.set()

    def stop(self) -> None:
        """Finish what is being sent, and end."""
        self._stop.set()
        with self._counting:
            threads = [thread for senders in self._threads.values() for thread in senders]
        for thread in threads:
            thread.join()

    def wait(self) -> None:
        """Return when somebody asked to stop."""
        self._stop.wait()

    def send_one(self, channel: str) -> bool:
        """Try the message whose turn it is; return whether there was one."""
        again = self._held_up[channel] < MOST_SENDERS // 2
        if not self._outbox.is_due(channel, again=again):
            return False
        alone = self._turn.acquire(timeout=PATIENCE_SECONDS)
        try:
            claimed = self._outbox.claim(WORKER, channel, again=again)
            if claimed is None:
                return False
            with self._holding(channel):
                self._outbox.settle(WORKER, claimed, self._try(claimed))
        finally:
            if alone:
                self._turn.release()
        return True

    def _try(self, claimed: Claimed) -> Ending:
        try:
            return self._deliver(claimed)
        except Problem:
            raise
        except Exception as error:
            # One message that breaks the program must not stop the others, nor come back for ever.
            structlog.get_logger().exception("outbox_failed")
            last = claimed.attempts >= MOST_FAILURES
            return Ending(State.DEAD if last else State.WAITING, type(error).__name__)

    @contextmanager
    def _holding(self, channel: str) -> Iterator[None]:
        """Count a message that is being sent, and let somebody else wait for the next one if nobody does."""
        with self._counting:
            self._held_up[channel] += 1
            senders = len(self._threads[channel])
            if senders == self._held_up[channel] < MOST_SENDERS and not self._stop.is_set():
                self._add_sender(channel)
        try:
            yield
        finally:
            with self._counting:
                self._held_up[channel] -= 1

    def _add_sender(self, channel: str) -> None:
        thread = threading.Thread(target=self._keep_sending, args=[channel], name=channel, daemon=True)
        self._threads[channel].add(thread)
        thread.start()

    def _is_surplus(self, channel: str) -> bool:
        with self._counting:
            surplus = len(self._threads[channel]) - self._held_up[channel] > SENDERS
            if surplus:
                self._threads[channel].discard(threading.current_thread())
            return surplus

    def _keep_sending(self, channel: str) -> None:
        while not self._stop.is_set() and not self._is_surplus(channel):
            try:
                sent = self.send_one(channel)
            except Problem as problem:
                structlog.get_logger().warning("outbox_waits", code=problem.code)
                sent = False
            except Exception:
                structlog.get_logger().exception("outbox_failed")
                sent = False
            if not sent:
                self._stop.wait(LOOK_EVERY_SECONDS)
