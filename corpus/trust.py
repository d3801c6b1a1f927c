"""Whose signature a pulled release bears: the key of the first pull, or one that it handed over to.

A key is never given up in silence: another takes its place only by a handover that the log's keys signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from corpus.dataset import Mark
from corpus.header import Header
from corpus.sources import Source
from protocol.errors import CodedError


class SignatureWrong(CodedError):
    """The release is not signed by who signed it before, or is older than what we have."""

    code: ClassVar[str] = "PULL_SIGNATURE_WRONG"


@dataclass(frozen=True)
class Trust:
    """The key that signed a release, and the newest of its publisher's that is known; None: not signed."""

    vkey: str | None = None
    newest_vkey: str | None = None


def check(source: Source, head: Header, raw: bytes, note: bytes | None, mark: Mark | None) -> Trust:
    """Check a release's signed note against what the copy's `mark` remembers of its publisher.

    Raises
    ------
    SignatureWrong
    """
    from corpus.verify import signature_problem  # not needed to learn that nothing is new

    def wrong(problem: str) -> SignatureWrong:
        return SignatureWrong(name=head.name, source=source.address, problem=problem)

    pinned = (mark.newest_vkey or mark.vkey) if mark is not None else None
    if mark is not None and mark.name == head.name and head.revision < mark.revision:
        raise wrong(f"revision {head.revision} is older than revision {mark.revision}, which you have")
    if note is None and pinned:
        raise wrong("it is not signed any more")
    if note is None:
        return Trust()
    try:
        text = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise wrong("it is not text") from error
    keys = [pinned] if pinned else _published(source, head.name, None)
    problems = [signature_problem(text, head, raw, key) for key in keys]
    if pinned and None not in problems:
        keys = _published(source, head.name, pinned)
        problems = [signature_problem(text, head, raw, key) for key in keys]
    if not keys:
        return Trust()
    if None not in problems:
        raise wrong(str(problems[0]))
    return Trust(keys[problems.index(None)], keys[0])


def _published(source: Source, name: str, pinned: str | None) -> list[str]:
    """The publisher's keys, the newest first; only those that handovers tie to the pinned one."""
    import rfc8785

    from corpus.keys import verify_ed25519
    from protocol import keyring
    from protocol.tlog import ReceiptInvalid

    published = source.keys()
    if published is None:
        return [pinned] if pinned else []
    try:
        ring = keyring.follow(
            keyring.Ring.of([pinned] if pinned else []),
            published,
            verify_ed25519=verify_ed25519,
            canonical=rfc8785.dumps,  # type: ignore[arg-type]  # it checks the type itself
        )
    except ReceiptInvalid as error:
        problem = str(error.parameters["problem"])
        raise SignatureWrong(name=name, source=source.address, problem=problem) from error
    return list(reversed(ring.vkeys))
