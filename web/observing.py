"""Each request gets an id, leaves a line in the log, and is counted: by its route, never by its address.

An address may carry an invitation or a name; the route is its pattern. The time is until the reply begins.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import Flask, Response, g, request

from corpus import logs
from web import forwarded
from web.context import site

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from web.context import Site

REQUESTS = "requests"
PROBLEMS = "problems"
_SEEN = "xiangyin.seen"
_log = logging.getLogger("xiangyin.access")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass
class Seen:
    """What is known of a request so far."""

    request_id: str
    route: str | None = None
    membership: str | None = None
    code: str | None = None
    status: int = 0
    reply_bytes: int | None = None


def request_id() -> str:
    """The id of this request."""
    return cast(Seen, request.environ[_SEEN]).request_id


class Observed:
    """The application, watched."""

    def __init__(self, wsgi_app: WSGIApplication, here: Site) -> None:
        self._wsgi_app, self._here = wsgi_app, here

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, and tell of it."""
        begun = time.perf_counter()
        seen = environ[_SEEN] = Seen(self._named(environ))
        reset = logs.request_id.set(seen.request_id)

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            seen.status = int(status[:3])
            lengths = [value for name, value in headers if name.lower() == "content-length"]
            seen.reply_bytes = int(lengths[0]) if lengths and _LENGTH.fullmatch(lengths[0]) else None
            return start_response(status, [*headers, ("X-Request-Id", seen.request_id)], exc_info)

        try:
            return self._wsgi_app(environ, start)
        finally:
            self._tell(environ, seen, time.perf_counter() - begun)
            logs.request_id.reset(reset)

    def _named(self, environ: WSGIEnvironment) -> str:
        """The proxy's id for it, where there is a proxy and it names one; otherwise ours."""
        given = environ.get("HTTP_X_REQUEST_ID", "")
        if environ.get(forwarded.BY_PROXY) and _ID.fullmatch(given):
            return str(given)
        return self._here.random_hex(16)

    def _tell(self, environ: WSGIEnvironment, seen: Seen, seconds: float) -> None:
        method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in _METHODS else "?"
        route = seen.route or "none"
        status = seen.status or 500
        self._here.meters.observe(REQUESTS, method, route, str(status), seconds=seconds)
        if seen.code is not None:
            self._here.meters.add(PROBLEMS, seen.code)
        if not _log.isEnabledFor(logging.INFO):
            return
        length = environ.get("CONTENT_LENGTH") or "0"
        logs.log(
            _log,
            logging.INFO,
            "request",
            {
                "method": method,
                "route": seen.route,
                "status": status,
                "code": seen.code,
                "duration_ms": round(1000 * seconds, 1),
                "bytes_in": int(length) if _LENGTH.fullmatch(length) else None,
                "bytes": seen.reply_bytes,
                "membership": seen.membership,
            },
        )


def install(app: Flask) -> None:
    """Watch `app`."""

    @app.after_request
    def end(response: Response) -> Response:
        seen = cast(Seen, request.environ[_SEEN])
        who = g.get("member")
        seen.route = request.url_rule.rule if request.url_rule is not None else None
        seen.membership = None if who is None else who.membership_id
        seen.code = g.get("problem_code")
        return response

    def fault(exc_info: OptExcInfo) -> None:
        """Flask's own line names the address."""
        app.logger.error("fault", exc_info=exc_info)

    app.log_exception = fault  # type: ignore[method-assign]
    with app.app_context():
        here = site()
    app.wsgi_app = Observed(app.wsgi_app, here)  # type: ignore[method-assign]
