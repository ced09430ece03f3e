"""Headers of every answer: cross-origin permission for named origins, and what tells a browser to be careful."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from yaoshi.web.callers import is_loopback_origin
from yaoshi.web.cookies import HEADER

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_CAREFUL = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    # Answers of this API are about one caller at one moment: nobody in between may keep them.
    "Cache-Control": "no-store",
    "Vary": "Origin, Accept-Language",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
_YEAR_SECONDS = 31_536_000
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": f"Authorization, Content-Type, Accept-Language, {HEADER}",
    "Access-Control-Max-Age": "600",
}


def pages_of(origins: frozenset[str], *, development: bool) -> Callable[[str], bool]:
    """Return what tells whether an Origin is one of `origins`, exactly; development adds pages of this machine."""
    if development:
        return lambda origin: origin in origins or is_loopback_origin(origin)
    return origins.__contains__


def install(app: Flask, may: Callable[[str], bool], *, https: bool) -> None:
    """Give every answer of `app` its headers; pages whose Origin `may` read it."""
    always = [*_CAREFUL.items()]
    if https:
        always.append(("Strict-Transport-Security", f"max-age={_YEAR_SECONDS}; includeSubDomains"))
    app.wsgi_app = _Careful(app.wsgi_app, always)  # type: ignore[method-assign]  # Flask's own way to wrap itself

    def permit(response: Response) -> Response:
        origin = request.environ.get("HTTP_ORIGIN")
        if origin and may(origin):
            headers = response.headers
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Credentials"] = "true"  # for the cookie way; other doors read no cookie
            headers["Access-Control-Expose-Headers"] = "Retry-After, WWW-Authenticate"
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                headers.extend(_PREFLIGHT)
        return response

    app.after_request(permit)


class _Careful:
    """Adds the headers that every answer carries, below Flask: whatever fails above, they are there.

    Answers leave in one piece: none is long, and granian streams whatever is not a list, which costs it more.
    """

    def __init__(self, app: "WSGIApplication", always: list[tuple[str, str]]) -> None:
        self._app, self._always = app, always

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            given = {name.lower() for name, _ in headers}
            headers.extend(pair for pair in self._always if pair[0].lower() not in given)
            return start_response(status, headers, exc_info)

        pieces = self._app(environ, start)
        try:
            return [b"".join(pieces)]
        finally:
            close = getattr(pieces, "close", None)
            if close:
                close()
