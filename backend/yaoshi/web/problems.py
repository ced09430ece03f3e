"""The one place where a refusal becomes an HTTP answer. Source: RFC 9457."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from yaoshi.core.errors import Kind, Problem
from yaoshi.core.phrases import Phrase, fault
from yaoshi.web.callers import caller_of

STATUS = {
    Kind.REJECTED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.LIMITED: 429,
    Kind.UNAVAILABLE: 503,
}

TRANSPORT = {
    400: ("bad_request", Phrase("The request can't be read.", "无法识别该请求。")),
    404: ("not_found", Phrase("There is nothing at this address.", "该地址不存在。")),
    405: ("method_not_allowed", Phrase("This method is not allowed here.", "该地址不支持此请求方法。")),
    411: ("length_required", Phrase("The request must state its length.", "请求必须声明内容长度。")),
    413: ("body_too_large", Phrase("The request is too large: 64 KiB at most.", "请求内容过大，最多 64 KiB。")),
    414: ("address_too_long", Phrase("The address is too long.", "请求地址过长。")),
    415: (
        "unsupported_media_type",
        Phrase("The body must be application/json in UTF-8.", "请求体必须是 UTF-8 编码的 application/json。"),
    ),
    431: ("headers_too_large", Phrase("The request headers are too large.", "请求头过大。")),
    500: ("internal_error", Phrase("Something broke on our side.", "服务器内部错误。")),
}

NONE: Mapping[str, str] = MappingProxyType({})
_log = structlog.get_logger()


class DevelopmentOnly(Problem):
    """This server runs in development mode and serves its own machine only."""

    kind, code = Kind.FORBIDDEN, "development_only"
    phrase = Phrase(
        "This server is in development mode and answers its own machine only. To serve others, set FLASK_ENV=production"
        " (for another local host name: YAOSHI_DEVELOPMENT_HOSTS).",
        "服务器处于开发模式，仅响应本机请求。对外提供服务请设置 FLASK_ENV=production"
        "（本机其他主机名请设置 YAOSHI_DEVELOPMENT_HOSTS）。",
    )


def install(app: Flask, public_url: str) -> None:
    """Teach `app` to answer every failure as application/problem+json."""
    base = f"{public_url}/problems/"

    def intended(problem: Problem) -> Response:
        language = caller_of(request).language
        errors = [_described(language, one.field, one.code, one.values) for one in problem.faults]
        # Existing front-ends show `msg` and nothing else, so it joins all the sentences.
        msg = _joined(language, [one["msg"] for one in errors]) or problem.phrase.say(language)
        response = _render(base, STATUS[problem.kind], problem.code, problem.phrase, msg, errors, problem.members)
        if problem.retry_after is not None:
            response.headers["Retry-After"] = str(problem.retry_after)
        if problem.kind is Kind.UNAUTHENTICATED:
            # Source: RFC 6750 §3.1: the error is named only where a bearer token was presented.
            bearer = request.headers.get("Authorization", "")[:7].lower() == "bearer "
            named = bearer and problem.challenge == "Bearer"
            response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if named else problem.challenge
        return response

    def transport(error: HTTPException) -> Response:
        status = error.code if error.code in TRANSPORT else 400
        code, phrase = TRANSPORT[status]
        response = _render(base, status, code, phrase, phrase.say(caller_of(request).language), [])
        if status == 405 and getattr(error, "valid_methods", None):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]  # MethodNotAllowed
        return response

    def bug(error: Exception) -> Response:
        _log.error("unhandled", request_id=caller_of(request).request_id, exc_info=error)
        code, phrase = TRANSPORT[500]
        return _render(base, 500, code, phrase, phrase.say(caller_of(request).language), [])

    app.register_error_handler(Problem, intended)
    app.register_error_handler(HTTPException, transport)
    app.register_error_handler(Exception, bug)


def catalogue() -> dict[str, tuple[int, Phrase]]:
    """Return every problem code that this process can answer, with its status and sentence."""
    known = {code: (status, phrase) for status, (code, phrase) in TRANSPORT.items()}
    waiting: list[type[Problem]] = [Problem]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            known.setdefault(kind.code, (STATUS[kind.kind], kind.phrase))
    return known


def _described(language: str, field: str, code: str, values: dict[str, object]) -> dict[str, str]:
    return {"field": field, "code": code, "msg": fault(language, field, code, values)}


def _joined(language: str, sentences: list[str]) -> str:
    return (" " if language == "en" else "").join(sentences)


def _render(
    base: str,
    status: int,
    code: str,
    phrase: Phrase,
    msg: str,
    errors: list[dict[str, str]],
    members: Mapping[str, str] = NONE,
) -> Response:
    caller = caller_of(request)
    body: dict[str, Any] = {
        "type": base + code,
        "title": phrase.say(caller.language),
        "status": status,
        "detail": msg,
        "msg": msg,
        "code": code,
        "request_id": caller.request_id,
        **members,
    }
    if errors:
        body["errors"] = errors
    return Response(orjson.dumps(body), status, content_type="application/problem+json")
