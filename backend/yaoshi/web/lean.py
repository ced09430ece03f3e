"""Flask without what this application never uses, since every request would pay for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_NOTHING = NullSession()


class LeanFlask(Flask):
    """Flask for views that are no coroutines, keep no session of Flask's, and answer for any host name."""

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.session_interface = _NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` as it is."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return the router of a request, by its path and method alone."""
        if request is None:
            return super().create_url_adapter(None)
        environ = request.environ
        host, scheme = environ.get("HTTP_HOST", "localhost"), environ["wsgi.url_scheme"]
        script, query = environ.get("SCRIPT_NAME") or "/", environ.get("QUERY_STRING", "")
        return MapAdapter(self.url_map, host, script, "", scheme, request.path, request.method, query)


class LeanResponse(Response):
    """An answer whose headers are right as they stand: its length is known, and it sends nobody elsewhere."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """Return the headers."""
        return self.headers


class _NoSessions(SessionInterface):
    """Flask's sessions, of which there are none."""

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """Return the one that can hold nothing."""
        return _NOTHING

    def is_null_session(self, obj: object) -> bool:
        """Return true: nothing is ever saved."""
        return True
