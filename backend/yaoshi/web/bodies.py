"""Reading request bodies: strictly JSON, then the form that the contract names, every fault told at once."""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from flask import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import LengthRequired, RequestEntityTooLarge, UnsupportedMediaType

from yaoshi.core.errors import Fault, InvalidRequest

MOST_NBYTES = 64 * 1024
MOST_DEPTH = 20
_FORMS = {"application/json", "application/json;charset=utf-8", 'application/json;charset="utf-8"'}

Form = TypeVar("Form", bound="PartA")
Text = Annotated[str, Field(strict=True, max_length=320)]
Secret = Annotated[str, Field(strict=True, max_length=4096, repr=False)]


class PartA(BaseModel):
    """A body of the frozen contract: unknown members are ignored, null and blank ones count as absent."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_blanks(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {k: v for k, v in data.items() if v is not None and not (isinstance(v, str) and not v.strip())}


def judged(read: Callable[[str], tuple[str, Sequence[Fault]]]) -> AfterValidator:
    """Return a validator that turns typed text into its canonical form, or tells all that is wrong with it."""

    def check(typed: str) -> str:
        value, faults = read(typed)
        if faults:
            raise PydanticCustomError("judged", "not acceptable", {"faults": list(faults)})
        return value

    return AfterValidator(check)


def read_body(request: Request, form: type[Form]) -> Form:
    """Return the body of `request` as `form`.

    Raises UnsupportedMediaType, LengthRequired, RequestEntityTooLarge, or InvalidRequest naming every fault.
    """
    _check_transport(request)
    try:
        return form.model_validate(_strict_json(request.get_data(cache=False)))
    except ValidationError as error:
        raise InvalidRequest([fault for one in error.errors(include_url=False) for fault in _faults(one)]) from None


def _check_transport(request: Request) -> None:
    declared = request.headers.get("Content-Type", "").lower().replace(" ", "")
    if declared not in _FORMS or request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType()
    if request.content_length is None and "Transfer-Encoding" in request.headers:
        # Servers cut a chunked body at the limit instead of refusing it: what was cut must not be judged.
        raise LengthRequired()
    if (request.content_length or 0) > MOST_NBYTES:
        raise RequestEntityTooLarge()


def _strict_json(raw: bytes) -> Any:
    """Return the parsed body; refuses what two parsers could read differently. Source: RFC 8259 §4, §8."""
    try:
        orjson.loads(raw)  # refuses NaN, invalid UTF-8, a BOM, lone surrogates
        data = json.loads(raw, object_pairs_hook=_unique_members)
        if _depth(data) > MOST_DEPTH:
            raise ValueError("too deep")
    except (ValueError, RecursionError):
        raise InvalidRequest([Fault("body", "not_json")]) from None
    if not isinstance(data, dict):
        raise InvalidRequest([Fault("body", "not_an_object")])
    return data


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("duplicate member")
    return members


def _depth(data: Any) -> int:
    level, depth = [data], 0
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth


def _faults(error: Any) -> list[Fault]:
    name = str(error["loc"][0]) if error["loc"] else "body"
    values = error.get("ctx", {})
    match error["type"]:
        case "judged":
            return [Fault(name, fault.code, fault.values) for fault in values["faults"]]
        case "missing":
            return [Fault(name, "missing")]
        case "string_too_long":
            return [Fault(name, "too_long", {"most": values["max_length"]})]
        case "literal_error" if isinstance(error["input"], str):
            return [
                Fault(name, "not_allowed", {"allowed": str(values["expected"]).replace("'", "").replace(" or ", ", ")})
            ]
    return [Fault(name, "not_a_string")]
