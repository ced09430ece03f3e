"""Sending what waits: threads of the server itself, or of processes of their own."""

import threading
from collections.abc import Callable

import structlog

from yaoshi.core.errors import Problem
from yaoshi.core.types import Caller
from yaoshi.outbox.policy import State
from yaoshi.outbox.service import Claimed, Ending, Outbox

CHANNELS = ("email", "phone")
SENDERS = 4
MOST_FAILURES = 10
LOOK_EVERY_SECONDS = 0.5
WORKER = Caller(address="", agent="yaoshi worker", language="en", request_id="worker")


class Worker:
    """Sends from several threads for each channel, so that neither holds up the other.

    `deliver` tries one message once and says how that ended; it may be slow, and is never called inside a write.
    """

    def __init__(self, outbox: Outbox, deliver: Callable[[Claimed], Ending]) -> None:
        self._outbox, self._deliver = outbox, deliver
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to send, on threads that end with the process."""
        for channel in CHANNELS:
            for number in range(SENDERS):
                thread = threading.Thread(
                    target=self._keep_sending, args=[channel], name=f"{channel} {number}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def ask_to_stop(self) -> None:
        """Begin nothing more."""
        self._stop.set()

    def stop(self) -> None:
        """Finish what is being sent, and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait(self) -> None:
        """Return when somebody asked to stop."""
        self._stop.wait()

    def send_one(self, channel: str) -> bool:
        """Try the message whose turn it is; return whether there was one."""
        if not self._outbox.is_due(channel):
            return False
        claimed = self._outbox.claim(WORKER, channel)
        if claimed is None:
            return False
        try:
            ending = self._deliver(claimed)
        except Problem:
            raise
        except Exception as error:
            # One message that breaks the program must not stop the others, nor come back for ever.
            structlog.get_logger().exception("outbox_failed")
            last = claimed.attempts >= MOST_FAILURES
            ending = Ending(State.DEAD if last else State.WAITING, type(error).__name__)
        self._outbox.settle(WORKER, claimed, ending)
        return True

    def _keep_sending(self, channel: str) -> None:
        while not self._stop.is_set():
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
