"""OpenAPI 3.1 out of the route contracts: what is not declared is not documented, and what is documented is served."""

import inspect
import re
from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from yaoshi.core.errors import Kind
from yaoshi.web.endpoint import Contract, public
from yaoshi.web.problems import STATUS, TRANSPORT

_REF = "#/components/schemas/{model}"
_EVERYWHERE = (404, 405, 500)
_WITH_BODY = (411, 413, 415)


class FaultOut(BaseModel):
    """What is wrong with one member of the request."""

    field: str
    code: str
    msg: str


class Refusal(BaseModel):
    """Every error, RFC 9457. `msg` is one human sentence in the caller's language; `code` never changes."""

    type: str
    title: str
    status: int
    detail: str
    msg: str
    code: str
    request_id: str
    errors: list[FaultOut] | None = Field(None, description="With validation errors and conflicts: every fault.")


def describe(contracts: list[Contract], version: str, public_url: str) -> dict[str, Any]:
    """Return the OpenAPI document of `contracts`."""
    bodies = {(c.takes, "validation") for c in contracts if c.takes}
    answers = {(c.gives, "serialization") for c in contracts} | {(Refusal, "serialization")}
    models: Any = sorted(bodies | answers, key=lambda pair: (pair[0].__name__, pair[1]))
    refs, definitions = models_json_schema(models, ref_template=_REF)
    paths: dict[str, Any] = {}
    for contract in contracts:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", contract.path)
        paths.setdefault(path, {})[contract.method.lower()] = _operation(contract, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Yaoshi", "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
        "servers": [{"url": "/"}, {"url": public_url}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(contract: Contract, refs: Any) -> dict[str, Any]:
    summary, _, rest = (inspect.getdoc(contract.view) or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": contract.view.__name__,
        "summary": summary,
        "description": rest.strip(),
        "tags": [contract.view.__module__.split(".")[1]],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"<(?:\w+:)?(\w+)>", contract.path)
        ],
        "security": [{"bearer": []}] if _takes_bearer(contract) else [],
        "responses": {
            str(contract.status): {
                "description": "Success",
                "content": {"application/json": {"schema": refs[contract.gives, "serialization"]}},
            }
        }
        | _refusals(contract, refs[Refusal, "serialization"]),
    }
    if contract.takes:
        schema = refs[contract.takes, "validation"]
        operation["requestBody"] = {
            "required": not contract.takes.optional,
            "content": {contract.takes.media: {"schema": schema}},
        }
    return operation


def _takes_bearer(contract: Contract) -> bool:
    return contract.guard is not public and all(refusal.challenge == "Bearer" for refusal in contract.refuses)


def _refusals(contract: Contract, schema: Any) -> dict[str, Any]:
    codes: dict[int, list[str]] = {}
    for refusal in contract.refuses:
        codes.setdefault(STATUS[refusal.kind], []).append(refusal.code)
    for status in (*_EVERYWHERE, *(_WITH_BODY if contract.takes else ())):
        codes.setdefault(status, []).append(TRANSPORT[status][0])
    codes.setdefault(STATUS[Kind.UNAVAILABLE], []).append("storage_unavailable")
    codes.setdefault(STATUS[Kind.FORBIDDEN], []).append("development_only")
    codes.setdefault(STATUS[Kind.REJECTED], []).append(TRANSPORT[400][0])
    if _takes_bearer(contract):
        codes.setdefault(STATUS[Kind.UNAUTHENTICATED], []).append("unauthenticated")
    return {str(status): _refusal(status, names, schema) for status, names in sorted(codes.items())}


def _refusal(status: int, codes: list[str], schema: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": ", ".join(f"`{code}`" for code in dict.fromkeys(codes)),
        "content": {"application/problem+json": {"schema": schema}},
    }
    if status in (STATUS[Kind.LIMITED], STATUS[Kind.UNAVAILABLE]):
        seconds = {"type": "integer", "minimum": 1}
        described["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": seconds}}
    return described
