"""Uploading a take by tus 1.0.0, over networks that fail at any byte.

The server is the one that knows how much it holds: after every doubt the client asks (HEAD) and goes
on from there. Creating is repeatable, since the clip's id is the key: the same clip gives the same
upload, also after this program was killed and kept nothing. So there is no state here to lose.

References
----------
tus resumable upload protocol 1.0.0 (tus.io): core, creation, checksum.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from protocol.clip import ClipId
from protocol.errors import CodedError
from recorder.api import Api, CredentialRefused, ServerAnswerUnexpected, ServerRefused, ServerUnreachable
from recorder.spool import Take

CHUNK_BYTES = 1 << 20
TUS = "1.0.0"
_NUMBER = re.compile(r"[0-9]{1,15}")
_CHECKSUM_MISMATCH = 460  # tus checksum extension


class UploadGaveUp(CodedError):
    """Retried until patience ended; nothing is lost."""

    code = "UPLOAD_GAVE_UP"


class _Again(Exception):
    """A step failed in a way that another try may mend."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


@dataclass(frozen=True)
class Patience:
    """How long to wait between tries that get nowhere, and how often. Any progress starts it anew."""

    tries: int = 8
    first_s: float = 0.5
    longest_s: float = 30.0

    def wait_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row: doubling, up to `longest_s`."""
        return min(self.longest_s, self.first_s * 2.0 ** (failures - 1))


Progress = Callable[[int, int], None]


class Uploader:
    """Sends takes to one server.

    Parameters
    ----------
    api : Api
        The server and the credential.
    sleep : callable
        Waits so many seconds; the caller's, so that tests do not wait.
    """

    def __init__(
        self,
        api: Api,
        *,
        sleep: Callable[[float], None],
        patience: Patience | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._api = api
        self._sleep = sleep
        self._patience = patience or Patience()
        self._chunk_bytes = chunk_bytes

    def send(self, take: Take, progress: Progress = lambda sent, total: None) -> dict[str, Any]:
        """Upload a take, whatever of it is still missing, and give what ``GET clips/{clip_id}`` says then.

        Raises
        ------
        SpoolDamaged
            If the take is not what was recorded.
        ServerRefused
            If the server will not have it at all, as when its clip_id is used for another sound.
        CredentialRefused
            If this machine is not known any more.
        UploadGaveUp
            If the network stays bad.
        """
        take.check()
        size_bytes = take.flac.stat().st_size
        failures, best = 0, -1
        location: str | None = None
        while True:
            try:
                if location is None:
                    location = self._create(take, size_bytes)
                offset = self._offset(location, size_bytes)
                while True:
                    if offset > best:
                        best, failures = offset, 0
                        progress(offset, size_bytes)
                    if offset == size_bytes:
                        return self._outcome(take.clip_id, location, offset)
                    before, offset = offset, self._patch(take, location, offset, size_bytes)
                    if offset <= before:  # without this, a server that takes nothing is asked for ever
                        raise _Again("the server took none of a piece")
            except _UploadGone:
                location, problem = None, "the server dropped the upload"
            except _Again as error:
                problem = error.problem
            except ServerUnreachable as error:
                problem = str(error.parameters["problem"])
            failures += 1
            if failures >= self._patience.tries:
                raise UploadGaveUp(server=self._api.server, tries=failures, problem=problem)
            self._sleep(self._patience.wait_s(failures))

    # --- the steps: each can be repeated without harm ----------------------------------------------

    def _create(self, take: Take, size_bytes: int) -> str:
        """POST: the upload's address. The same clip gives the same upload."""
        meta = json.dumps(take.meta.as_json(), separators=(",", ":"), allow_nan=False)
        response = self._tus(
            "POST",
            "/api/v1/uploads",
            {
                "Upload-Length": str(size_bytes),
                "Upload-Metadata": upload_metadata(
                    clip_id=take.clip_id, sha256=take.sha256, filename=f"{take.clip_id}.flac", meta=meta
                ),
            },
        )
        if response.status_code not in (200, 201):
            raise self._refusal(response)
        location = response.headers.get("Location", "")
        if not location:
            raise ServerAnswerUnexpected(server=self._api.server, problem="the upload has no address")
        # Only its path counts: the token goes to the server that was joined and to no other.
        try:
            path = urlsplit(urljoin(self._api.url("/api/v1/uploads"), location)).path
        except ValueError:  # as for http://[
            path = ""
        if not path.startswith("/"):
            raise ServerAnswerUnexpected(server=self._api.server, problem="the upload has no address")
        return path.removeprefix(urlsplit(self._api.server).path)

    def _offset(self, location: str, size_bytes: int) -> int:
        """HEAD: how many bytes the server holds."""
        response = self._tus("HEAD", location, {})
        if response.status_code in (404, 410):
            raise _UploadGone()
        if response.status_code not in (200, 204):
            raise self._refusal(response)
        return self._offset_in(response, size_bytes)

    def _patch(self, take: Take, location: str, offset: int, size_bytes: int) -> int:
        """PATCH one chunk; the new offset. A 409 says the true one."""
        with take.flac.open("rb") as file:
            file.seek(offset)
            chunk = file.read(min(self._chunk_bytes, size_bytes - offset))
        response = self._tus(
            "PATCH",
            location,
            {
                "Content-Type": "application/offset+octet-stream",
                "Upload-Offset": str(offset),
                "Upload-Checksum": "sha256 " + base64.b64encode(hashlib.sha256(chunk).digest()).decode(),
            },
            data=chunk,
        )
        if response.status_code == 204:
            return self._offset_in(response, size_bytes)
        if response.status_code == 409 and "Upload-Offset" in response.headers:
            true_offset = self._offset_in(response, size_bytes)
            if true_offset == offset:
                raise _Again("another request holds the upload")
            return true_offset
        if response.status_code in (404, 410):
            raise _UploadGone()
        if response.status_code == _CHECKSUM_MISMATCH:
            raise _Again("a piece was damaged on its way")
        refusal = self._refusal(response)
        if isinstance(refusal, ServerRefused) and refusal.parameters["reason"] == "UPLOAD_DIGEST_MISMATCH":
            raise _UploadGone()  # what is here was checked, so it was the way or the server: from the start
        raise refusal

    def _outcome(self, clip_id: ClipId, location: str, size_bytes: int) -> dict[str, Any]:
        """GET clips/{clip_id}; where the closing was cut off, an empty PATCH closes the upload again."""
        path = f"/api/v1/clips/{clip_id}"
        response = self._api.exchange("GET", path)
        if response.status_code == 404:
            closing = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(size_bytes)}
            answer = self._tus("PATCH", location, closing, data=b"")
            if answer.status_code not in (204, 404, 409, 410):
                raise self._refusal(answer)
            response = self._api.exchange("GET", path)
            if response.status_code == 404:
                raise _Again("the server is not done with the clip")
        if response.status_code != 200:
            raise self._refusal(response)
        return self._api.json(response)

    def _tus(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None = None
    ) -> requests.Response:
        return self._api.exchange(method, path, headers={"Tus-Resumable": TUS, **headers}, data=data)

    def _offset_in(self, response: requests.Response, size_bytes: int) -> int:
        text = response.headers.get("Upload-Offset", "")
        if not _NUMBER.fullmatch(text) or int(text) > size_bytes:
            raise ServerAnswerUnexpected(server=self._api.server, problem="Upload-Offset is no offset")
        return int(text)

    def _refusal(self, response: requests.Response) -> CodedError | _Again:
        """What to raise for an answer that no step expects."""
        if response.status_code in (408, 423):  # too slow; another request holds the upload
            return _Again(f"status {response.status_code}")
        return self._api.refusal(response)


class _UploadGone(Exception):
    """The server knows this upload no more: create it again."""


def upload_metadata(**pairs: str) -> str:
    """The ``Upload-Metadata`` header: keys with base64 values, parted by commas."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


__all__ = [
    "CHUNK_BYTES",
    "CredentialRefused",
    "Patience",
    "ServerRefused",
    "UploadGaveUp",
    "Uploader",
    "upload_metadata",
]
