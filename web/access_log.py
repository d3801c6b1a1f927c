"""One line of JSON for each request: the route, never the address, which may carry a secret or a name."""

from __future__ import annotations

import json
import logging
import time

from flask import Flask, Response, g, request

from web.context import site

_log = logging.getLogger("xiangyin.access")


def install(app: Flask) -> None:
    """Log every request of `app`."""

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        member = g.get("member")
        line = {
            "time_ms": site().clock_ms(),
            "method": request.method if request.method in _METHODS else "?",
            "route": request.url_rule.rule if request.url_rule is not None else None,
            "status": response.status_code,
            "ms": round(1000 * (time.perf_counter() - g.get("begun", time.perf_counter())), 1),
            "membership": None if member is None else member.membership_id,
        }
        _log.info(json.dumps(line))
        return response


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
