"""Headers of every answer: cross-origin permission for named origins, and what tells a browser to be careful."""

from collections.abc import Callable

from flask import Flask, Response, request

from yaoshi.web.callers import is_loopback_origin

_CAREFUL = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
_YEAR_SECONDS = 31_536_000
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept-Language",
    "Access-Control-Max-Age": "600",
}


def install(app: Flask, origins: frozenset[str], *, development: bool, https: bool) -> None:
    """Give every answer of `app` its headers. `origins` are exact; development adds pages of this machine."""
    may: Callable[[str], bool] = (
        (lambda origin: origin in origins or is_loopback_origin(origin)) if development else origins.__contains__
    )
    always = dict(_CAREFUL)
    if https:
        always["Strict-Transport-Security"] = f"max-age={_YEAR_SECONDS}; includeSubDomains"

    def decorate(response: Response) -> Response:
        headers = response.headers
        for name, value in always.items():
            if name not in headers:
                headers.add(name, value)
        # Answers of this API are about one caller at one moment: nobody in between may keep them.
        if "Cache-Control" not in headers:
            headers.add("Cache-Control", "no-store")
        headers.add("Vary", "Origin, Accept-Language")
        origin = request.environ.get("HTTP_ORIGIN")
        if origin and may(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "Retry-After, WWW-Authenticate"
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                headers.extend(_PREFLIGHT)
        return response

    app.after_request(decorate)
