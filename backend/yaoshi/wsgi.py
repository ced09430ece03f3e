"""What a server imports: the application as WSGI, and as RSGI for servers behind a proxy.

`yaoshi serve` uses it through granian; any WSGI server may use `yaoshi.wsgi:wsgi` as a factory.
"""

import asyncio
import io
import os
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

from yaoshi.app import create_app
from yaoshi.bootstrap import build
from yaoshi.server import hold_counters, keep_house, publish_metrics, settings_of_process
from yaoshi.web.access import set_up_logs
from yaoshi.web.bodies import MOST_NBYTES

_HEADERS_WITHOUT_PREFIX = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def wsgi() -> Flask:
    """Return the application of this process's settings."""
    set_up_logs()
    settings = settings_of_process(quiet=True)
    if "_YAOSHI_THREADS" not in os.environ:  # else our own server holds them already
        hold_counters(settings)
    house = build(settings)
    app = create_app(house)
    publish_metrics(house, app)
    keep_house(house)
    return app


def rsgi() -> Callable[[Any, Any], Awaitable[None]]:
    """Return the application behind an adapter that drops header names with underscores."""
    app = wsgi()
    pool = ThreadPoolExecutor(int(os.environ.get("_YAOSHI_THREADS", "16")), "request")

    async def serve(scope: Any, protocol: Any) -> None:
        environ = environ_of(scope)
        body = b""
        if "HTTP_TRANSFER_ENCODING" not in environ and 0 < _length(environ) <= MOST_NBYTES:
            body = await protocol()
        environ["wsgi.input"] = io.BytesIO(body)
        status, headers, answer = await asyncio.get_running_loop().run_in_executor(pool, _call, app, environ)
        protocol.response_bytes(status, headers, answer)

    return serve


def environ_of(scope: Any) -> dict[str, Any]:
    """Return the WSGI environment of an RSGI scope. Source: PEP 3333.

    A name with an underscore would fold onto the one with a hyphen that a proxy wrote, so it is dropped; a name
    given twice is joined with commas.
    """
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path,
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": scope.server.rpartition(":")[0],
        "SERVER_PORT": scope.server.rpartition(":")[2],
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]") if scope.client.count(":") != 0 else scope.client,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name in scope.headers:
        if "_" not in name:
            key = _HEADERS_WITHOUT_PREFIX.get(name, "HTTP_" + name.upper().replace("-", "_"))
            environ[key] = ",".join(scope.headers.get_all(name))
    return environ


def _length(environ: dict[str, Any]) -> int:
    declared = environ.get("CONTENT_LENGTH", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0


def _call(app: Flask, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    started: list[tuple[int, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        started.append((int(status[:3]), headers))
        return lambda data: None

    answer = app(environ, start_response)
    try:
        body = b"".join(answer)
    finally:
        close = getattr(answer, "close", None)
        if close:
            close()
    status, headers = started[-1]
    return status, headers, body
