"""One JSON line per request: what was asked and how it ended, and nothing secret."""

import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from flask import Flask, Response, request

from yaoshi.web.callers import caller_of


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


def install(app: Flask) -> None:
    """Write the access line of every request of `app`. Paths are route templates: typed text stays out."""

    def log(response: Response) -> Response:
        environ = request.environ
        caller = caller_of(request)
        rule = request.url_rule
        line = {
            "event": "request",
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": request.method[:16],
            "route": rule.rule if rule else None,
            "status": response.status_code,
            "ms": round((time.perf_counter() - environ["yaoshi.began"]) * 1000, 2),
            "address": caller.address,
            "request_id": caller.request_id,
        }
        if caller.shared:
            line["shared_source"] = True
        # What was done is done: an answer is not lost because its log line is.
        with suppress(OSError, ValueError):
            sys.stdout.buffer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.buffer.flush()
        return response

    app.after_request(log)


def _without_values(_logger: Any, _method: str, event: Any) -> Any:
    """Take from tracebacks what exceptions say of values: a database error repeats what was typed."""
    for trace in event.get("exception", []):
        trace["exc_value"] = ""
        for frame in trace.get("frames", []):
            frame.pop("locals", None)
    return event
