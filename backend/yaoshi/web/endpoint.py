"""A route is a contract: who may call, what goes in, what comes out, what is refused. One decorator says all of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, request
from flask.globals import request_ctx
from pydantic import BaseModel

from yaoshi.core.errors import Problem
from yaoshi.core.types import Caller
from yaoshi.web.bodies import Body, read_body
from yaoshi.web.callers import caller_of
from yaoshi.web.lean import LeanResponse

Guard = Callable[[Caller], dict[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Contract:
    """One row of the route table; OpenAPI, the guard law and the tests read it."""

    method: str
    path: str
    view: Callable[..., BaseModel]
    guard: Guard
    takes: type[Body] | None
    gives: type[BaseModel]
    status: int
    refuses: tuple[type[Problem], ...]


class Routes:
    """The doors of one room. `guard` has no default: forgetting it is a TypeError at import."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.contracts: list[Contract] = []

    def door(  # a contract has that many clauses, each named at every call
        self,
        method: str,
        path: str,
        *,
        guard: Guard,
        gives: type[BaseModel],
        takes: type[Body] | None = None,
        status: int = 200,
        refuses: tuple[type[Problem], ...] = (),
    ) -> Callable[[Callable[..., BaseModel]], Callable[..., BaseModel]]:
        """Declare the decorated view as the door `method path`; its docstring is the API reference."""

        def bind(view: Callable[..., BaseModel]) -> Callable[..., BaseModel]:
            self.contracts.append(Contract(method, self._prefix + path, view, guard, takes, gives, status, refuses))
            return view

        return bind

    @staticmethod
    def install(app: Flask, contracts: list[Contract]) -> None:
        """Open the doors of `contracts` on `app`."""
        for contract in contracts:
            endpoint = f"{contract.method.lower()} {contract.path}"
            app.add_url_rule(contract.path, endpoint, _serve(contract), methods=[contract.method])


def _serve(contract: Contract) -> Callable[..., Response]:
    view, guard, takes, status = contract.view, contract.guard, contract.takes, contract.status

    def serve(**arguments: Any) -> Response:
        asked = request_ctx.request  # the request itself: each look through Flask's proxy costs as much as the look
        caller = caller_of(asked)
        arguments |= guard(caller)
        if takes is not None:
            arguments["body"] = read_body(asked, takes)
        answer = view(caller, **arguments)
        return LeanResponse(answer.__pydantic_serializer__.to_json(answer), status, content_type="application/json")

    return serve


def public(caller: Caller) -> dict[str, Any]:
    """Let anyone in. Written out loud so that it can be searched for."""
    return {}


def signed_in(caller: Caller) -> dict[str, Any]:
    """Let in who presents a token of a living session; the view is given `who`. Raises Unauthenticated."""
    authenticate = current_app.extensions["yaoshi.authenticate"]
    return {"who": authenticate(request.environ.get("HTTP_AUTHORIZATION"))}


def use(kind: type[T]) -> T:
    """Return the house's one `kind`. For routes only; services get theirs from bootstrap."""
    return cast(T, current_app.extensions["yaoshi"][kind])
