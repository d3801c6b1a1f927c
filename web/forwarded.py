"""Who asks and over what, where a proxy stands in between: believed of the trusted proxy, and of nobody else.

Its own word is the last one: what stands before it in the same header came from the client. The headers are
taken away, so that nothing behind this can believe them a second time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BY_PROXY = "xiangyin.by_proxy"
_ANYBODY = "*"
_TAKEN = tuple(
    f"HTTP_X_FORWARDED_{name}" for name in ("FOR", "PROTO", "HOST", "PORT", "PREFIX", "BY", "SERVER")
)


def plain(text: str) -> str:
    """An address without port, brackets and quotes, in its one spelling; empty for what is none.

    A port is left out because each connection has another. A socket for both families names callers of the
    old one as IPv6; here they are what they are.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)


class Forwarded:
    """The application, told who asks."""

    def __init__(self, wsgi_app: WSGIApplication, trusted_proxy: str) -> None:
        self._wsgi_app = wsgi_app
        self._trusted = trusted_proxy if trusted_proxy == _ANYBODY else plain(trusted_proxy)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Put the proxy's word in place of what the server saw."""
        said = {name: str(environ.pop(name, "")).rpartition(",")[2].strip() for name in _TAKEN}
        environ.pop("HTTP_FORWARDED", None)
        peer = plain(environ.get("REMOTE_ADDR", ""))
        environ[BY_PROXY] = bool(self._trusted) and self._trusted in (_ANYBODY, peer)
        if environ[BY_PROXY]:
            if said["HTTP_X_FORWARDED_FOR"]:
                environ["REMOTE_ADDR"] = plain(said["HTTP_X_FORWARDED_FOR"])
            scheme = said["HTTP_X_FORWARDED_PROTO"].lower()
            if scheme in ("http", "https"):
                environ["wsgi.url_scheme"] = scheme
        return self._wsgi_app(environ, start_response)


def install(app: Flask, trusted_proxy: str) -> None:
    """Tell `app`; around everything that asks."""
    app.wsgi_app = Forwarded(app.wsgi_app, trusted_proxy)  # type: ignore[method-assign]
