"""Doors that tell how the server does, and what its API is."""

from pathlib import Path
from typing import Literal

import flask_swagger_ui
import orjson
from flask import Flask, Response, send_from_directory
from pydantic import BaseModel
from werkzeug.exceptions import NotFound

from yaoshi import __version__
from yaoshi.core.errors import StorageUnavailable
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller
from yaoshi.ops.installation import Installation
from yaoshi.web.endpoint import Contract, Routes, public, use
from yaoshi.web.openapi import describe
from yaoshi.web.problems import catalogue

routes = Routes("")

_HELLO = Phrase("Yaoshi is running. The API page is at /docs.", "钥匙认证服务正在运行，接口文档见 /docs。")
_DIST = Path(flask_swagger_ui.__file__).parent / "dist"
_ASSETS = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Yaoshi API</title>
<link rel="icon" href="docs/favicon-32x32.png"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><main id="api"></main>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body>
</html>
"""
_START = (
    "SwaggerUIBundle({url: 'openapi.json', dom_id: '#api', deepLinking: true, validatorUrl: null,"
    " persistAuthorization: false})\n"
)
# Swagger UI writes style attributes and inlines its icons; scripts and connections stay our own.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class HelloOut(BaseModel):
    """A greeting."""

    msg: str


class HealthOut(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class ProblemOut(BaseModel):
    """One entry of the problem catalogue."""

    code: str
    status: int
    en: str
    zh: str


@routes.door("GET", "/", guard=public, gives=HelloOut)
def hello(caller: Caller) -> HelloOut:
    """Say that the server is there."""
    return HelloOut(msg=_HELLO.say(caller.language))


@routes.door("GET", "/healthz", guard=public, gives=HealthOut)
def healthz(caller: Caller) -> HealthOut:
    """Is the process up? Touches nothing else."""
    return HealthOut()


@routes.door("GET", "/readyz", guard=public, gives=HealthOut, refuses=(StorageUnavailable,))
def readyz(caller: Caller) -> HealthOut:
    """Can requests be served? Asks the database."""
    use(Installation).is_reachable()
    return HealthOut()


@routes.door("GET", "/problems/<code>", guard=public, gives=ProblemOut)
def problem(caller: Caller, code: str) -> ProblemOut:
    """Explain a problem code: the address that `type` of every refusal names."""
    known = catalogue()
    if code not in known:
        raise NotFound()
    status, phrase = known[code]
    return ProblemOut(code=code, status=status, en=phrase.en, zh=phrase.zh)


def install_api_page(app: Flask, contracts: list[Contract], public_url: str) -> None:
    """Serve `/openapi.json` and `/docs`, all from this process: nothing is fetched from elsewhere."""
    document = orjson.dumps(describe(contracts, __version__, public_url))

    def openapi() -> Response:
        return Response(document, content_type="application/json")

    def page() -> Response:
        return Response(_PAGE, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})

    def asset(name: str) -> Response:
        if name == "start.js":
            return Response(_START, content_type="text/javascript; charset=utf-8")
        if name not in _ASSETS:
            raise NotFound()
        return send_from_directory(_DIST, name, max_age=3600)

    app.add_url_rule("/openapi.json", "openapi", openapi)
    app.add_url_rule("/docs", "docs", page)
    app.add_url_rule("/docs/<name>", "docs_asset", asset)
