"""A server's keys as this machine knows them: pinned when joining, and after that by handovers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from protocol import keyring
from protocol.keyring import Ring
from protocol.tlog import ReceiptInvalid
from recorder import loghead, receipts
from recorder.loghead import KeyUntrusted

if TYPE_CHECKING:
    from recorder.api import Api
    from recorder.credentials import Membership

LIST = "/.well-known/xiangyin-keys.json"


def asked(api: Api, known: Ring) -> Ring:
    """The server's keys, if the known ones lead to them; all it names, if none is known yet.

    Raises
    ------
    KeyUntrusted
        If they do not, or the list is not what it must be.
    """
    try:
        return keyring.follow(
            known,
            api.get(LIST),
            verify_ed25519=receipts.verify_ed25519,
            canonical=receipts.canonical,
        )
    except ReceiptInvalid as error:
        raise KeyUntrusted(server=api.server, problem=str(error.parameters["problem"])) from error


def watched(
    api: Api,
    member: Membership,
    heads: Path,
    files: Iterable[Path],
    keep: Callable[[Membership], object],
) -> Membership:
    """Hold the server's log against what was seen of it; the membership, with keys that were handed over.

    Parameters
    ----------
    keep : callable
        Called with the membership when its keys have changed, before anything is trusted to them.

    Raises
    ------
    CodedError
        As `loghead.watch` says; a key that no known one leads to is refused.
    """
    paths = tuple(files)
    try:
        loghead.watch(api, member.ring, heads, paths)
        return member
    except KeyUntrusted:
        changed = member.trusting(asked(api, member.ring))
    keep(changed)
    loghead.watch(api, changed.ring, heads, paths)
    return changed
