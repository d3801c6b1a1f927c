"""Taking a voice back: the sound, its texts and the details in the ledger are erased; a receipt stays.

First the rows, in one transaction that nothing can undo by half; then the blobs; then every release that
holds the voice is rebuilt without it. What a crash or a store that is away leaves of the later steps is noted
in that transaction (`corpus.erasure`): the server does it by itself, and so does withdrawing again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import clips, erasure, ledger, likeness, publish, tables, transcripts, uploads
from corpus.clips import Clip
from corpus.database import begin, reading
from corpus.holds import Holds
from corpus.keys import Signer
from corpus.shelf import Shelf
from protocol.clip import Receipt, Sha256


@dataclass(frozen=True)
class Custody:
    """The parts that withdrawing needs: `shelf` holds the database, the store and the releases."""

    shelf: Shelf
    signer: Signer
    holds: Holds
    clock_ms: Callable[[], int]
    random_hex: Callable[[int], str]


@dataclass(frozen=True)
class Withdrawn:
    """What was withdrawn: how many clips, and a receipt for each that was not withdrawn before."""

    clips: int
    receipts: tuple[Receipt, ...]

    def as_json(self) -> dict[str, Any]:
        """``{"clips", "receipts"}``."""
        return {"clips": self.clips, "receipts": [r.as_json() for r in self.receipts]}


def of_clips(custody: Custody, wanted: Sequence[Clip]) -> Withdrawn:
    """Withdraw these clips. Withdrawing again changes nothing and erases what a crash may have left."""
    receipts: list[Receipt] = []
    now_ms = custody.clock_ms()
    with begin(custody.shelf.engine) as db:
        for clip in wanted:
            stored = clips.find(db, clip.id)
            erasure.note(db, _digests(clip), now_ms=now_ms)
            if stored is not None and stored.state != "withdrawn":
                receipts.append(_withdraw(db, custody, stored, now_ms))
    if wanted:
        _erase(custody, sorted({digest for clip in wanted for digest in _digests(clip)}))
    return Withdrawn(len(wanted), tuple(receipts))


def sweep(custody: Custody) -> int:
    """Erase what earlier withdrawals could not, and closes left. Returns how many blobs are done with.

    Raises
    ------
    CodedError
        What kept the rest from being erased; it comes again later, by itself.
    """
    custody.shelf.store.drop_leftovers(custody.clock_ms() / 1000)
    erasure.collect(custody.shelf.engine, custody.holds, now_ms=custody.clock_ms())
    with reading(custody.shelf.engine) as db:
        due = erasure.waiting(db, due_ms=custody.clock_ms(), limit=erasure.MOST_AT_ONCE)
    return _erase(custody, [one.sha256 for one in due]) if due else 0


def of_session(custody: Custody, session_id: str, person_id: str | None = None) -> Withdrawn:
    """Withdraw every clip of a session."""
    query = sa.select(tables.clip).where(tables.clip.c.session_id == session_id)
    if person_id is not None:
        query = query.where(tables.clip.c.person_id == person_id)
    with reading(custody.shelf.engine) as db:
        found = [Clip(**row._mapping) for row in db.execute(query)]
    return of_clips(custody, found)


def of_person(custody: Custody, person_id: str) -> Withdrawn:
    """Withdraw every clip of a person, and their consent to more."""
    with begin(custody.shelf.engine) as db:
        db.execute(
            sa.update(tables.consent)
            .where(tables.consent.c.person_id == person_id, tables.consent.c.withdrawn_ms.is_(None))
            .values(withdrawn_ms=custody.clock_ms())
        )
        found = clips.of_person(db, person_id)
    return of_clips(custody, found)


def _withdraw(db: Connection, custody: Custody, clip: Clip, now_ms: int) -> Receipt:
    clips.decide(db, clip.id, "withdraw", person_id=clip.person_id, now_ms=now_ms)
    columns = tables.clip.c
    db.execute(
        sa.update(tables.clip)
        .where(columns.id == clip.id)
        .values(withdrawn_ms=now_ms, meta={}, device_class=None, recorded_at="")
    )
    uploads.forget(db, clip.id)
    transcripts.erase(db, [clip.id])
    likeness.erase(db, [clip.id])
    db.execute(sa.delete(tables.measurement).where(tables.measurement.c.clip_id == clip.id))
    db.execute(sa.delete(tables.receipt).where(tables.receipt.c.clip_id == clip.id))
    ledger.erase_details(db, clip.item_id)
    seq = ledger.append(
        db,
        ledger.Entry("withdrawn", clip.item_id, {"clip_id": clip.id}),
        salt=bytes.fromhex(custody.random_hex(16)),
        now_ms=now_ms,
    )
    receipt = ledger.receipt(db, seq, custody.signer, now_ms=now_ms)
    clips.add_receipt(db, clip.id, seq, receipt.as_json())
    return receipt


def _digests(clip: Clip) -> tuple[Sha256, Sha256]:
    return clip.sha256, clip.upload_sha256


def _erase(custody: Custody, digests: Sequence[Sha256]) -> int:
    """Remove blobs from the store, and voices from every release; only then are they done with."""
    shelf, now_ms = custody.shelf, custody.clock_ms()
    done, problem = erasure.erase(shelf.engine, shelf.store, custody.holds, digests)
    if shelf.folder.is_dir():
        publish.erase(shelf, now_ms=now_ms)
    with begin(shelf.engine) as db:
        erasure.settle(db, digests, done, problem, now_ms=now_ms)
    if problem is not None:
        raise problem
    return len(done)
