"""Memberships of this machine: one file each in the user's configuration folder, mode 0600.

A membership holds all that work without a network needs: the token, the pinned keys, the consent that was
given, and the project with its profile and prompts as last heard.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import platformdirs

from protocol.clip import Consent
from protocol.errors import CodedError
from protocol.keyring import Ring
from recorder import durable


class NotJoined(CodedError):
    """No membership that fits."""

    code = "NOT_JOINED"


class InvitationLinkInvalid(CodedError):
    """Not the link that an inviter got."""

    code = "INVITATION_LINK_INVALID"


class MembershipDamaged(CodedError):
    """A membership's file was changed by another hand."""

    code = "MEMBERSHIP_DAMAGED"


@dataclass(frozen=True)
class Membership:
    """One person's place in one project on one server.

    Attributes
    ----------
    name : str
        Of the file, and what a take says it belongs to.
    vkeys : tuple of str
        The server's verifier keys: pinned when it was joined, or handed over to by one that was.
    retired : mapping
        For each key that was replaced, the longest log whose head it may sign.
    terms_agreed : str or None
        The version of the terms that was in force when joining, or agreed to since.
    project_json : mapping
        What ``GET project`` said last.
    """

    name: str
    server: str
    project: str
    role: str
    person_id: str
    token: str = field(repr=False)
    vkeys: tuple[str, ...]
    joined_at: str
    consent: Consent | None
    project_json: Mapping[str, Any] = field(repr=False)
    retired: Mapping[str, int] = field(default_factory=dict)
    terms_agreed: str | None = None

    @property
    def ring(self) -> Ring:
        """The keys that are trusted, and how far."""
        return Ring({vkey: self.retired.get(vkey) for vkey in self.vkeys})

    def trusting(self, ring: Ring) -> Membership:
        """The same with these keys."""
        retired = {vkey: size for vkey, size in ring.last_sizes.items() if size is not None}
        return replace(self, vkeys=ring.vkeys, retired=retired)

    def as_json(self) -> dict[str, Any]:
        """What the file holds."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Membership:
        """Read what `as_json` wrote."""
        given = row["consent"]
        values = {**row, "vkeys": tuple(row["vkeys"]), "consent": Consent(**given) if given else None}
        return cls(**values)


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where memberships are kept; XDG_CONFIG_HOME is respected on every system."""
    if home := environ.get("XDG_CONFIG_HOME"):
        return Path(home) / "xiangyin"
    return Path(platformdirs.user_config_path("xiangyin", appauthor=False))


def data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where takes and receipts are kept; XIANGYIN_RECORDER_DATA comes first, then XDG_DATA_HOME."""
    if chosen := environ.get("XIANGYIN_RECORDER_DATA"):
        return Path(chosen)
    if home := environ.get("XDG_DATA_HOME"):
        return Path(home) / "xiangyin"
    return Path(platformdirs.user_data_path("xiangyin", appauthor=False))


def membership_name(project: str, role: str, person_id: str) -> str:
    """A file name that no two memberships share."""
    return f"{re.sub(r'[^A-Za-z0-9-]+', '-', project)}.{role}.{person_id[:12]}"


def save(folder: Path, membership: Membership) -> Path:
    """Keep a membership; only the user may read it."""
    durable.make_folder(folder / "memberships")
    path = folder / "memberships" / f"{membership.name}.json"
    durable.write_json(path, membership.as_json(), mode=0o600)
    return path


def memberships(folder: Path) -> list[Membership]:
    """All memberships of this machine, the newest first."""
    found = [_read(path) for path in sorted((folder / "memberships").glob("*.json"))]
    return sorted(found, key=lambda m: (m.joined_at, m.name), reverse=True)


def choose(folder: Path, *, role: str | None = None, project: str | None = None) -> Membership:
    """The newest membership that fits.

    Raises
    ------
    NotJoined
        If none does.
    """
    for one in memberships(folder):
        if role in (None, one.role) and project in (None, one.project):
            return one
    raise NotJoined()


def for_server(folder: Path, server: str, *, role: str | None = None) -> Membership | None:
    """The newest membership on a server, as for `pull`."""
    wanted = server.rstrip("/")
    fitting = (m for m in memberships(folder) if m.server == wanted and role in (None, m.role))
    return next(fitting, None)


def parse_invitation(url: str) -> tuple[str, str]:
    """Server and secret of an invitation link such as ``https://host/join/SECRET``.

    Raises
    ------
    InvitationLinkInvalid
        If it is no such link.
    """
    parts = urlsplit(url.strip())
    head, _, secret = parts.path.rpartition("/join/")
    secret = unquote(secret or "".join(parse_qs(parts.query).get("invite", [])) or parts.fragment)
    try:
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not secret or "/" in secret or parts.username is not None:
        raise InvitationLinkInvalid(url=url)
    return f"{parts.scheme}://{parts.netloc}{head}", secret


def _read(path: Path) -> Membership:
    try:
        return Membership.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MembershipDamaged(file=str(path), problem=str(error)) from error
