"""Strict JSON in: what cannot be stored or read the same way by everyone is refused at the door.

Schemas are JSON Schema, the small part of it that `check` knows, so that what ``openapi.json`` says
is what is enforced.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from flask import Flask, request

from corpus.waiting_room import Body
from web.problems import LengthRequired, MediaTypeWrong, RequestInvalid, RequestTooLarge

Schema = Mapping[str, Any]
MAX_DEPTH = 32
MAX_BODY_BYTES = 256 * 1024
MAX_FORM_BYTES = 1 << 20
SMALL_BODY_BYTES = 64 * 1024
UPLOADS = "/api/v1/uploads"
_MAX_DIGITS = 15


def kept(
    max_upload_bytes: int, person: Callable[[Mapping[str, str]], str | None]
) -> Callable[[str, str, Mapping[str, str]], tuple[int, str]]:
    """How long a body each route may have, and whose it is, for a server that takes it in before that.

    Of an upload by nobody hardly anything is taken: `person` says whom headers name. Whoever else sends
    something shares what strangers may have.
    """

    def most(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        if path.startswith(UPLOADS):  # by any method: X-HTTP-Method-Override replaces it later
            who = person(headers)
            return (SMALL_BODY_BYTES, "") if who is None else (max_upload_bytes + 1, who)
        if method not in ("POST", "PUT", "PATCH"):
            return SMALL_BODY_BYTES, ""
        return MAX_BODY_BYTES if path.startswith("/api/") else MAX_FORM_BYTES, ""

    return most


def install(app: Flask) -> None:
    """Refuse what there was no room for, before anything reads what is not there."""

    @app.before_request
    def check() -> None:
        body = request.environ.get("wsgi.input")
        if isinstance(body, Body):
            body.check()


def obj(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def text(max_length: int = 1000, **more: Any) -> Schema:
    """A string of at most `max_length` code points."""
    return {"type": "string", "maxLength": max_length, **more}


def array(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def nullable(schema: Schema) -> Schema:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
YES_NO: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}


def parse(data: bytes) -> Any:
    """Read strict JSON.

    Raises
    ------
    RequestInvalid
        For bytes that are not UTF-8, NaN and Infinity, lone surrogates, a key twice, numbers of more
        than 15 digits or beyond a float, and nesting deeper than 32.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_int=_whole,
            parse_float=_real,
            object_pairs_hook=_object,
        )
    except RecursionError as error:
        raise RequestInvalid(problem="the JSON is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise RequestInvalid(problem="the body is not UTF-8") from error
    except ValueError as error:
        raise RequestInvalid(problem="the body is not JSON") from error
    _look(value, 0)
    return value


def json_body(schema: Schema, *, max_bytes: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The request's body, parsed strictly and checked against `schema`."""
    if request.mimetype != "application/json":
        raise MediaTypeWrong(wanted="application/json")
    request.max_content_length = max_bytes
    if request.content_length is None and "Transfer-Encoding" in request.headers:
        raise LengthRequired()
    if (request.content_length or 0) > max_bytes:
        raise RequestTooLarge(limit_bytes=max_bytes)
    value = parse(request.get_data(cache=False))
    check(schema, value)
    return dict(value)


def check(schema: Schema, value: Any, name: str = "body") -> None:
    """Compare a value with a schema, naming the first field that differs."""
    if "anyOf" in schema:
        if value is None and {"type": "null"} in schema["anyOf"]:
            return
        check(schema["anyOf"][0], value, name)
        return
    kind = schema.get("type")
    fits = {
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        None: True,
    }
    if not fits[kind]:
        _wrong(name, f"need {_ARTICLES.get(str(kind), kind)}")
    if "enum" in schema and value not in schema["enum"]:
        _wrong(name, "need one of " + ", ".join(map(str, schema["enum"])))
    if kind == "string":
        _check_string(schema, value, name)
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if kind in ("integer", "number") and not low <= value <= high:
        _wrong(name, f"need {schema.get('minimum', '…')} to {schema.get('maximum', '…')}")
    if kind == "array":
        for index, item in enumerate(value):
            check(schema["items"], item, f"{name}[{index}]")
    if kind == "object":
        _check_object(schema, value, name)


_ARTICLES = {"object": "an object", "array": "a list", "string": "a text", "boolean": "true or false",
             "integer": "a whole number", "number": "a number"}  # fmt: skip


def _check_string(schema: Schema, value: str, name: str) -> None:
    if len(value) > schema.get("maxLength", math.inf):
        _wrong(name, f"longer than {schema['maxLength']} characters")
    if len(value) < schema.get("minLength", 0):
        _wrong(name, "must not be empty")
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        _wrong(name, f"need the form {schema['pattern']}")


def _check_object(schema: Schema, value: Mapping[str, Any], name: str) -> None:
    known = schema.get("properties")
    if known is None:
        return
    for key in schema.get("required", ()):
        if key not in value:
            _wrong(f"{name}.{key}".removeprefix("body."), "is missing")
    for key, item in value.items():
        if key not in known:
            _wrong(f"{name}.{key[:40]}".removeprefix("body."), "there is no such field")
        check(known[key], item, f"{name}.{key}".removeprefix("body."))


def _wrong(name: str, problem: str) -> NoReturn:
    raise RequestInvalid(problem=f"{name}: {problem}", field=name)


def _refuse_constant(name: str) -> NoReturn:
    raise RequestInvalid(problem=f"{name} is not JSON")


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_DIGITS:
        raise RequestInvalid(problem="a number has too many digits")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits) if len(digits) <= 40 else math.inf
    if not math.isfinite(value):
        raise RequestInvalid(problem="a number is out of range")
    return value


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RequestInvalid(problem="a key stands twice in one object")
        found[key] = value
    return found


def _look(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RequestInvalid(problem="the JSON is nested too deeply")
    if isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise RequestInvalid(problem="a text holds half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _look(key, depth + 1)
            _look(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _look(item, depth + 1)
