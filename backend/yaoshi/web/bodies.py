"""Reading request bodies: strictly JSON, or a form where a standard says so, every fault told at once."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import parse_qsl

import orjson
from flask import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import LengthRequired, RequestEntityTooLarge, UnsupportedMediaType

from yaoshi.core.errors import Fault, InvalidRequest

MOST_NBYTES = 64 * 1024
MOST_DEPTH = 20
MOST_MEMBERS = 20
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
_CHARSETS = ("", ";charset=utf-8", ';charset="utf-8"')

Form = TypeVar("Form", bound="Body")
Text = Annotated[str, Field(strict=True, max_length=320)]
Secret = Annotated[str, Field(strict=True, max_length=4096, repr=False)]


class Body(BaseModel):
    """A request body: of which media type, and whether it may be left out."""

    media: ClassVar[str] = JSON
    optional: ClassVar[bool] = False


class PartB(Body):
    """A body of our own contract: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class PartA(Body):
    """A body of the frozen contract: unknown members are ignored, null and blank ones count as absent."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_blanks(cls, data: Any) -> Any:
        return cls.without_blanks(data)

    @staticmethod
    def without_blanks(data: Any) -> Any:
        """Return the members of `data` that say something."""
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
    length = request.content_length
    chunked = "HTTP_TRANSFER_ENCODING" in request.environ
    if form.optional and not length and not chunked:
        return form.model_validate({})
    _check_media(request.environ, form.media)
    if length is None and chunked:
        # Servers cut a chunked body at the limit instead of refusing it: what was cut must not be judged.
        raise LengthRequired()
    if (length or 0) > MOST_NBYTES:
        raise RequestEntityTooLarge()
    read = _strict_json if form.media == JSON else _strict_form
    try:
        return form.model_validate(read(request.get_data()))
    except ValidationError as error:
        raise InvalidRequest([fault for one in error.errors(include_url=False) for fault in _faults(one)]) from None


def _check_media(environ: Mapping[str, Any], media: str) -> None:
    declared = environ.get("CONTENT_TYPE", "").lower().replace(" ", "")
    known = declared.startswith(media) and declared.removeprefix(media) in _CHARSETS
    if not known or environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise UnsupportedMediaType()


def _strict_json(raw: bytes) -> Any:
    """Return the parsed body; refuses what two parsers could read differently. Source: RFC 8259 §4, §8."""
    try:
        orjson.loads(raw)  # refuses NaN, invalid UTF-8, a BOM, lone surrogates
        data = _JSON.decode(raw.decode())
        if _depth(data) > MOST_DEPTH:
            raise ValueError("too deep")
    except (ValueError, RecursionError):
        raise InvalidRequest([Fault("body", "not_json")]) from None
    if not isinstance(data, dict):
        raise InvalidRequest([Fault("body", "not_an_object")])
    return data


def _strict_form(raw: bytes) -> dict[str, str]:
    """Return the members of a form; refuses a member given twice. Source: RFC 6749 §3.1, appendix B."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MOST_MEMBERS,
        )
        return _unique_members(pairs)
    except ValueError:
        raise InvalidRequest([Fault("body", "not_a_form")]) from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("duplicate member")
    return members


_JSON = json.JSONDecoder(object_pairs_hook=_unique_members)


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
        case "extra_forbidden":
            return [Fault("body", "unknown_member")]
        case "string_too_long":
            return [Fault(name, "too_long", {"most": values["max_length"]})]
        case "literal_error" if isinstance(error["input"], str):
            return [
                Fault(name, "not_allowed", {"allowed": str(values["expected"]).replace("'", "").replace(" or ", ", ")})
            ]
    return [Fault(name, "not_a_string")]
