"""One handler turns every error into a reply: RFC 9457 problem+json for programs, a page for people."""

from __future__ import annotations

from typing import ClassVar

from flask import Flask, Response, current_app, g, json, make_response, render_template, request
from jinja2 import TemplateNotFound
from markupsafe import escape
from werkzeug.exceptions import HTTPException, InternalServerError

from protocol.errors import CodedError
from web import observing
from web.language import current

MEDIA_TYPE = "application/problem+json"


class NotFound(CodedError):
    """Nothing here, or nothing that the asker may know of: the two look the same."""

    code: ClassVar[str] = "NOT_FOUND"


class MethodNotAllowed(CodedError):
    """The address exists but not for this method."""

    code: ClassVar[str] = "METHOD_NOT_ALLOWED"


class RequestInvalid(CodedError):
    """A request that cannot be understood."""

    code: ClassVar[str] = "REQUEST_INVALID"


class RequestTooLarge(CodedError):
    """A body beyond what the route takes."""

    code: ClassVar[str] = "REQUEST_TOO_LARGE"


class LengthRequired(CodedError):
    """A body of unannounced length."""

    code: ClassVar[str] = "LENGTH_REQUIRED"


class MediaTypeWrong(CodedError):
    """A body of a content type that the route does not take."""

    code: ClassVar[str] = "MEDIA_TYPE_WRONG"


class RangeImpossible(CodedError):
    """A range beyond the end."""

    code: ClassVar[str] = "RANGE_IMPOSSIBLE"


class Internal(CodedError):
    """A fault of ours; the log has the rest."""

    code: ClassVar[str] = "INTERNAL"


def explain(error: CodedError) -> Response:
    """The reply that a coded error gets."""
    status = error.http_status
    g.problem_code = error.code
    if status >= 500 and status not in (503, 507) and not isinstance(error, Internal):
        current_app.logger.error("%s %s", error.code, error.parameters)
    if _wants_page():
        response = make_response(_page(error, status), status)
    else:
        body = {
            **error.as_json(current()),
            "type": f"urn:xiangyin:{error.code}",
            "title": error.code,
            "status": status,
        }
        if status >= 500:  # a refusal must read the same for what is another's and for what is not there
            body["request_id"] = observing.request_id()
        response = current_app.response_class(json.dumps(body), status=status, mimetype=MEDIA_TYPE)
        response.headers["Content-Language"] = current()
    response.headers.update(g.get("problem_headers", {}))
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        response.headers["Retry-After"] = str(error.parameters.get("wait_s", 2))
    response.headers["Cache-Control"] = "no-store"
    return response


def install(app: Flask) -> None:
    """Answer all errors of `app` from here."""
    app.register_error_handler(CodedError, explain)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        if isinstance(error, InternalServerError):
            return explain(Internal())
        response = error.get_response()
        if error.code is not None and error.code < 400:
            return make_response(response)
        reply = explain(_coded(error))
        for name in ("Allow", "Content-Range"):
            if name in response.headers:
                reply.headers[name] = response.headers[name]
        return reply


def _coded(error: HTTPException) -> CodedError:
    if error.code == 404:
        return NotFound()
    if error.code == 405:
        return MethodNotAllowed(method=request.method)
    if error.code == 413:
        return RequestTooLarge(limit_bytes=request.max_content_length)
    if error.code == 415:
        return MediaTypeWrong(wanted="application/json")
    if error.code == 416:
        return RangeImpossible()
    return RequestInvalid(problem=error.name)


def _wants_page() -> bool:
    if request.path.startswith(("/api/", "/.well-known/", "/healthz", "/readyz", "/metrics")):
        return False
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="application/json")
    return best == "text/html"


def _page(error: CodedError, status: int) -> str:
    try:
        return render_template(
            "problem.html",
            error=error,
            status=status,
            sentence=error.sentence(current()),
            request_id=observing.request_id() if status >= 500 else None,
        )
    except TemplateNotFound:
        return f"<!doctype html><title>{escape(error.code)}</title><p>{escape(error.sentence(current()))}"
