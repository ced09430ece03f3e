"""One JSON line per request: what was asked and how it ended, and nothing secret."""

import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from flask import Flask, Response
from flask.globals import request_ctx

from yaoshi.web.callers import caller_of

MOST_WAITING = 20_000
WRITE_EVERY_SECONDS = 0.05


def set_up_logs() -> None:
    """Log as one JSON object per line to standard output, keys in a stable order, no secret among them."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.dict_tracebacks,
            _without_values,
            structlog.processors.JSONRenderer(serializer=lambda value, **_: orjson.dumps(value, default=repr)),
        ],
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )


class AccessLog:
    """Writes lines from a thread of its own: whoever reads standard output slowly, or not at all, holds nobody up.

    At most `MOST_WAITING` lines wait, the oldest go first. The thread ends when nothing waits, and a process that is
    stopped waits for it, so that all lines are written.
    """

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._lock, self._writing = threading.Lock(), False

    def add(self, line: dict[str, Any]) -> None:
        """Let `line` be written soon."""
        self._waiting.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        with self._lock:
            if self._writing:
                return
            self._writing = True
        threading.Thread(target=self._keep_writing, name="access log").start()

    def _write(self) -> None:
        """Write what waits. A line that can't be written is gone: its request was answered all the same."""
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        with suppress(OSError, ValueError):
            sys.stdout.buffer.write(b"".join(lines))
            sys.stdout.buffer.flush()

    def _keep_writing(self) -> None:
        while True:
            time.sleep(WRITE_EVERY_SECONDS)
            self._write()
            with self._lock:
                if not self._waiting:
                    self._writing = False
                    return


def install(app: Flask, lines: AccessLog) -> None:
    """Keep one line of every request of `app`. Paths are route templates: typed text stays out."""

    def log(response: Response) -> Response:
        asked = request_ctx.request
        environ, rule, caller = asked.environ, asked.url_rule, caller_of(asked)
        line = {
            "event": "request",
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": asked.method[:16],
            "route": rule.rule if rule else None,
            "status": response.status_code,
            "ms": round((time.perf_counter() - environ["yaoshi.began"]) * 1000, 2),
            "address": caller.address,
            "request_id": caller.request_id,
        }
        if caller.shared:
            line["shared_source"] = True
        lines.add(line)
        return response

    app.after_request(log)


def _without_values(_logger: Any, _method: str, event: Any) -> Any:
    """Take from tracebacks what exceptions say of values: a database error repeats what was typed."""
    for trace in event.get("exception", []):
        trace["exc_value"] = ""
        for frame in trace.get("frames", []):
            frame.pop("locals", None)
    return event
