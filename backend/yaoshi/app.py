"""The WSGI application: doors, refusals, headers and the access log around one house."""

import time
from threading import Lock
from typing import Any

import structlog
from flask import Flask, request
from werkzeug.exceptions import NotFound, RequestHeaderFieldsTooLarge, RequestURITooLarge

from yaoshi.accounts.routes import routes as accounts
from yaoshi.bootstrap import House
from yaoshi.contacts.routes import development as contacts_in_development
from yaoshi.contacts.routes import routes as contacts
from yaoshi.core.errors import NotReady, SettingsRefused
from yaoshi.keys.routes import routes as keys
from yaoshi.messaging import outbox_page
from yaoshi.messaging.routes import routes as messaging
from yaoshi.ops.options import routes as options
from yaoshi.ops.routes import install_api_page
from yaoshi.ops.routes import routes as ops
from yaoshi.passwords.routes import routes as passwords
from yaoshi.recovery.routes import development as recovery_in_development
from yaoshi.recovery.routes import routes as recovery
from yaoshi.sessions.routes import routes as sessions
from yaoshi.signin.routes import by_code as signin_by_code
from yaoshi.signin.routes import by_code_in_development as signin_by_code_in_development
from yaoshi.signin.routes import routes as signin
from yaoshi.signup.routes import routes as signup
from yaoshi.web import access, console, headers, problems
from yaoshi.web.callers import Callers, is_local, parse_networks
from yaoshi.web.cookies import CookieWay
from yaoshi.web.endpoint import Contract, Routes
from yaoshi.web.lean import LeanFlask

ROUTES: tuple[Routes, ...] = (
    signup,
    signin,
    sessions,
    accounts,
    contacts,
    passwords,
    recovery,
    messaging,
    keys,
    options,
    ops,
)
MOST_COOKIE, MOST_AUTHORIZATION, MOST_ADDRESS = 8192, 16384, 4096


def contracts_of(*, development: bool, sign_in_by_code: bool = True) -> list[Contract]:
    """Return every door; where two stand at one address the house opens the more particular one."""
    opened = list(ROUTES)
    if sign_in_by_code:
        opened.append(signin_by_code)
    if development:
        opened += [contacts_in_development, recovery_in_development]
    if development and sign_in_by_code:
        opened.append(signin_by_code_in_development)
    found = {(contract.method, contract.path): contract for routes in opened for contract in routes.contracts}
    return list(found.values())


def create_app(house: House) -> Flask:
    """Return the application of `house`; it opens the house before its first answer."""
    settings = house.settings
    app = LeanFlask("yaoshi")
    # No redirects: an address that is nearly right is wrong, so that no limit is ever keyed on a twin.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.extensions["yaoshi"] = {type(part): part for name in house.__slots__ if (part := getattr(house, name))}
    app.extensions["yaoshi.authenticate"] = house.sessions.authenticate
    callers = Callers(
        parse_networks(",".join(settings.trusted_proxies)), settings.default_language, development=settings.development
    )
    hosts = frozenset(host.lower() for host in settings.development_hosts)
    ready = _Once(house.open)

    def at_the_door() -> None:
        environ = request.environ
        environ["yaoshi.began"] = time.perf_counter()
        environ["yaoshi.caller"] = callers.identify(environ)
        if settings.development and not is_local(environ, hosts):
            raise problems.DevelopmentOnly()
        if environ["PATH_INFO"].startswith("//"):
            raise NotFound()  # the router would fold it onto the door behind
        if len(environ["PATH_INFO"]) + len(environ.get("QUERY_STRING", "")) > MOST_ADDRESS:
            raise RequestURITooLarge()
        cookie, authorization = environ.get("HTTP_COOKIE", ""), environ.get("HTTP_AUTHORIZATION", "")
        if len(cookie) > MOST_COOKIE or len(authorization) > MOST_AUTHORIZATION:
            raise RequestHeaderFieldsTooLarge()
        if environ["PATH_INFO"] != "/healthz":  # which tells of the process and nothing else
            ready()

    app.before_request(at_the_door)
    access.install(app, access.AccessLog())
    https = settings.public_url.startswith("https://")
    origins = frozenset(settings.cors_origins)
    headers.install(app, headers.pages_of(origins, development=settings.development), https=https)
    own = headers.pages_of(origins | {settings.public_url}, development=settings.development)
    app.extensions["yaoshi.cookies"] = CookieWay(own, https=https or not settings.development)
    problems.install(app, settings.public_url)
    contracts = contracts_of(development=settings.development, sign_in_by_code=house.options.sign_in_by_code)
    Routes.install(app, contracts)
    _install_pages(app, house, contracts)
    return app


def _install_pages(app: Flask, house: House, contracts: list[Contract]) -> None:
    console.install(app, house.settings.installation_logo)
    if house.settings.development:
        outbox_page.install(app, house.messages)
    if house.settings.api_page:
        install_api_page(app, contracts, house.settings.public_url)


class _Once:
    """Runs a start-up step once, before the first request, however many arrive together."""

    def __init__(self, step: Any) -> None:
        self._step, self._lock, self._done = step, Lock(), False

    def __call__(self) -> None:
        if not self._done:
            with self._lock:
                if not self._done:
                    try:
                        self._step()
                    except SettingsRefused as refused:
                        structlog.get_logger().error("not_ready", sentence=str(refused))
                        raise NotReady(retry_after=5) from None
                    self._done = True
