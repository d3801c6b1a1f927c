"""The project's server as the recorder speaks to it: JSON over HTTP, every answer checked.

Errors have three kinds, because a person does three different things about them: the server cannot be
reached (try again), it refuses (read why), it no longer knows this machine (join again).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import requests

from protocol.errors import CodedError, Language

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 300.0
MOST_ANSWER_BYTES = 64 << 20
_PIECE_BYTES = 1 << 16
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # all but tab and line break


class ServerUnreachable(CodedError):
    """No answer, or one that says to come back later."""

    code = "SERVER_UNREACHABLE"


class ServerAnswerUnexpected(CodedError):
    """An answer that is not of this protocol."""

    code = "SERVER_ANSWER_UNEXPECTED"


class ServerRefused(CodedError):
    """The server understood and said no; `reason` is its code."""

    code = "SERVER_REFUSED"


class CredentialRefused(CodedError):
    """The token is unknown, expired or revoked."""

    code = "CREDENTIAL_REFUSED"


class Api:
    """One server, asked in one person's name and language.

    Parameters
    ----------
    server : str
        ``scheme://host[:port]``, without a final slash.
    token : str or None
        The bearer token; None before joining.
    """

    def __init__(self, server: str, token: str | None = None, language: Language = "en") -> None:
        self.server = server.rstrip("/")
        self.session = requests.Session()
        self.session.trust_env = True
        self.session.headers["Accept-Language"] = language
        if token is not None:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str) -> dict[str, Any]:
        """GET a JSON object."""
        return self.json(self.send("GET", path))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST a JSON object, get one."""
        return self.json(self.send("POST", path, json=dict(body)))

    def url(self, path: str) -> str:
        """An address on this server."""
        return self.server + path

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send one request; an answer of 4xx or 5xx raises.

        Raises
        ------
        ServerUnreachable
            If there is no answer, or a 5xx or 429 one.
        CredentialRefused
            For 401.
        ServerRefused
            For the rest of 4xx, with the server's reason.
        """
        response = self.exchange(method, path, **more)
        if response.status_code >= 400:
            raise self.refusal(response)
        return response

    def exchange(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send one request and give whatever the answer is; only no answer raises."""
        try:
            response = self.session.request(
                method,
                self.url(path),
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                allow_redirects=False,  # a token never follows to another server
                stream=True,
                **more,
            )
            self._read(response)
        except requests.RequestException as error:
            raise ServerUnreachable(server=self.server, problem=_in_short(error)) from error
        return response

    def _read(self, response: requests.Response) -> None:
        """Read the answer's body, no more and no longer than an answer of this protocol takes."""
        end_s = time.monotonic() + ANSWER_TIMEOUT_S
        pieces: list[bytes] = []
        size_bytes = 0
        for piece in response.iter_content(_PIECE_BYTES):
            pieces.append(piece)
            size_bytes += len(piece)
            if size_bytes > MOST_ANSWER_BYTES or time.monotonic() > end_s:
                response.close()
                raise ServerAnswerUnexpected(server=self.server, problem="the answer does not end")
        response._content = b"".join(pieces)  # where `response.content` and `.json()` look

    def refusal(self, response: requests.Response) -> CodedError:
        """The error that an answer of 4xx or 5xx stands for."""
        status = response.status_code
        if status == 401:
            return CredentialRefused(server=self.server)
        problem = _problem(response)
        if status >= 500 or status == 429:
            text = str(problem.get("detail", f"status {status}")).rstrip(".。")
            return ServerUnreachable(server=self.server, problem=text)
        if "code" not in problem:
            return ServerAnswerUnexpected(server=self.server, problem=f"status {status}")
        more = {k: v for k, v in problem.items() if k not in ("code", "detail", "type", "title", "status")}
        return ServerRefused(
            reason=str(problem["code"]), detail=str(problem.get("detail", "")), parameters=more
        )

    def json(self, response: requests.Response) -> dict[str, Any]:
        """The answer's JSON object, or `ServerAnswerUnexpected`."""
        try:
            value = _printable(response.json())
        except (ValueError, RecursionError) as error:
            raise ServerAnswerUnexpected(server=self.server, problem="the answer is not JSON") from error
        if not isinstance(value, dict):
            raise ServerAnswerUnexpected(server=self.server, problem="the answer is not a JSON object")
        return value


def _problem(response: requests.Response) -> dict[str, Any]:
    try:
        value = _printable(response.json())
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _printable(value: Any) -> Any:
    """The same JSON, with a mark for each character that would command a terminal instead of being read."""
    if isinstance(value, str):
        return _COMMANDS.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value


def _in_short(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return "the address is not one"
    if isinstance(error, requests.ConnectionError):
        return "the connection failed or broke off"
    return type(error).__name__
