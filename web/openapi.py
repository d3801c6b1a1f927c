"""``openapi.json``, generated from the routes and what `describes` says of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Flask

from protocol.errors import catalogue
from web import auth
from web.bodies import Schema
from web.problems import MEDIA_TYPE

View = TypeVar("View", bound=Callable[..., Any])
_CONVERTER = re.compile(r"<(?:[a-z]+(?:\([^)]*\))?:)?([a-z_0-9]+)>")


@dataclass(frozen=True)
class Description:
    """What one view takes and answers.

    Attributes
    ----------
    body : Schema or None
        JSON Schema of a JSON body; the same value is given to `web.bodies.json_body`.
    answer : Schema or None
        JSON Schema of a JSON answer; None where there is none or `media` is not JSON.
    errors : sequence of str
        Codes of the catalogue beyond those that any view may answer.
    also : mapping
        Other statuses that are no error, to what they mean; they carry no body.
    query, headers : mapping
        Parameter name to what it is.
    """

    summary: str
    body: Schema | None = None
    answer: Schema | None = None
    status: int = 200
    media: str = "application/json"
    errors: Sequence[str] = ()
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    body_media: str = "application/json"
    also: Mapping[int, str] = field(default_factory=dict)


def describes(summary: str, **more: Any) -> Callable[[View], View]:
    """Attach a `Description` to a view. Takes its fields as keywords."""
    description = Description(summary, **more)

    def mark(view: View) -> View:
        view.__dict__["xiangyin_describes"] = description
        return view

    return mark


def document(app: Flask, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of every ``/api/v1`` route of `app`."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda r: r.rule):
        if not rule.rule.startswith("/api/v1/") and rule.rule != "/.well-known/xiangyin-keys.json":
            continue
        view = app.view_functions[rule.endpoint]
        said: Description | None = view.__dict__.get("xiangyin_describes")
        item = paths.setdefault(_CONVERTER.sub(r"{\1}", rule.rule), {})
        for method in sorted(rule.methods or ()):
            if method == "HEAD" and "GET" in (rule.methods or ()):
                continue
            name = f"{rule.endpoint}.{method.lower()}"
            item[method.lower()] = _operation(name, rule.rule, view, said or Description(_summary(view)))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Xiangyin", "version": version},
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": auth.COOKIE},
            },
            "schemas": {"Problem": _PROBLEM},
        },
    }


_PROBLEM: Schema = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "code", "detail"],
}


def _summary(view: Callable[..., Any]) -> str:
    return (view.__doc__ or "").strip().splitlines()[0] if view.__doc__ else ""


def _operation(name: str, rule: str, view: Callable[..., Any], said: Description) -> dict[str, Any]:
    roles = auth.roles_of(view)
    parameters = [
        {"name": found, "in": "path", "required": True, "schema": {"type": "string"}}
        for found in _CONVERTER.findall(rule)
    ]
    for place, named in (("query", said.query), ("header", said.headers)):
        for key, meaning in (named or {}).items():
            parameters.append(
                {"name": key, "in": place, "description": meaning, "schema": {"type": "string"}}
            )
    answer: dict[str, Any] = {"description": said.summary}
    if said.answer is not None or said.media != "application/json":
        answer["content"] = {said.media: {"schema": _of_answer(said.answer or {})}}
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": said.summary,
        "parameters": parameters,
        "responses": {
            str(said.status): answer,
            **{str(status): {"description": meaning} for status, meaning in said.also.items()},
            **_problems(said.errors, roles is not None),
        },
    }
    if said.body is not None:
        operation["requestBody"] = {"required": True, "content": {said.body_media: {"schema": said.body}}}
    if roles is None:
        operation["security"] = []
    else:
        operation["security"] = [{"token": []}, {"session": []}]
        operation["x-roles"] = sorted(roles)
    return operation


def _of_answer(schema: Schema) -> Schema:
    """The schema without what holds for requests alone: an answer may gain fields and have long texts."""
    found = {key: value for key, value in schema.items() if key not in ("additionalProperties", "maxLength")}
    for key in ("properties", "anyOf", "items"):
        inner = found.get(key)
        if isinstance(inner, list):
            found[key] = [_of_answer(one) for one in inner]
        elif isinstance(inner, dict):
            named = key == "properties"
            found[key] = {k: _of_answer(v) for k, v in inner.items()} if named else _of_answer(inner)
    return found


def _problems(codes: Sequence[str], guarded: bool) -> dict[str, Any]:
    every = [*codes, *(("NOT_SIGNED_IN", "NOT_ALLOWED") if guarded else ()), "REQUEST_INVALID"]
    by_status: dict[str, list[str]] = {}
    for code in dict.fromkeys(every):
        by_status.setdefault(str(catalogue()[code].http_status), []).append(code)
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": ", ".join(found), "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, found in sorted(by_status.items())
    }
