"""The cookie way: a browser app whose refresh token no script sees. The cookie counts with a header and an Origin.

Nothing but the doors that ask here reads a cookie; every other door knows bearer tokens alone.
"""

from collections.abc import Callable

from flask import Response, after_this_request, current_app, request

from yaoshi.core.errors import Kind, Problem
from yaoshi.core.phrases import Phrase

HEADER = "X-Yaoshi-Session"
_IN_ENVIRON = "HTTP_" + HEADER.upper().replace("-", "_")


class CrossSite(Problem):
    """A call that uses the cookie came from a page that is not one of ours, or did not say where it came from."""

    kind, code = Kind.FORBIDDEN, "csrf"
    phrase = Phrase("This page may not use the session of this site.", "该页面无权使用本站的登录状态。")


class CookieWay:
    """Knows which pages may use the cookie, and how the cookie is spelled.

    `__Host-` binds it to this host by https and to no other (RFC 6265bis §4.1.3.2); a developer's plain http has to
    do without.
    """

    def __init__(self, may: Callable[[str], bool], *, https: bool) -> None:
        self._may, self._https = may, https
        self._name = "__Host-refresh" if https else "refresh"

    def chosen(self) -> bool:
        """Return whether this request goes the cookie way. Raises CrossSite unless it comes from a page that may."""
        environ = request.environ
        if environ.get(_IN_ENVIRON, "").strip().lower() != "cookie":
            return False
        if not self._may(environ.get("HTTP_ORIGIN", "")):
            raise CrossSite()
        return True

    def read(self) -> str | None:
        """Return the refresh token in the cookie; ask `chosen` first."""
        return request.cookies.get(self._name) or None

    def keep(self, refresh_token: str, seconds: int) -> None:
        """Let this request's answer put `refresh_token` into the cookie, for so many seconds."""
        self._set(refresh_token, seconds)

    def forget(self) -> None:
        """Let this request's answer, a refusal as well, take the cookie back."""
        self._set("", 0)

    def _set(self, value: str, seconds: int) -> None:
        def put(response: Response) -> Response:
            response.set_cookie(
                self._name, value, max_age=seconds, path="/", secure=self._https, httponly=True, samesite="Strict"
            )
            return response

        after_this_request(put)


def cookie_way() -> CookieWay:
    """Return the house's cookie way; for routes."""
    way: CookieWay = current_app.extensions["yaoshi.cookies"]
    return way
