"""``fsck --repair``: what can be mended without losing anything. Nothing is deleted; it is moved aside.

Whatever stands in the way goes into a folder ``quarantine`` of the data folder, and only after its
replacement was compared with the digest that it must have.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from corpus import clips, keyring, ledger, ledger_check
from corpus.check import Problem
from corpus.database import Engine, begin
from corpus.disk import move_aside, write_durably
from corpus.keys import Signer
from corpus.shelf import Shelf
from corpus.store import BlobStore, name_of
from corpus.tables import clip, ledger_detail, ledger_entry, receipt, upload
from protocol.clip import Sha256
from protocol.tlog import ReceiptInvalid

_log = logging.getLogger("xiangyin.repair")


@dataclass(frozen=True)
class Bench:
    """What mending needs.

    Attributes
    ----------
    quarantine : Path
        Where that goes which was in the way.
    backup : Path or None
        A folder that `xiangyin backup` made.
    """

    engine: Engine
    store: BlobStore
    shelf: Shelf
    signer: Signer
    quarantine: Path
    backup: Path | None
    now_ms: int


@dataclass(frozen=True)
class Mended:
    """One thing that was done."""

    code: str
    name: str
    did: str

    def as_json(self) -> dict[str, str]:
        """``{"mended","name","did"}``."""
        return {"mended": self.code, "name": self.name, "did": self.did}


def mend(bench: Bench, problems: Sequence[Problem]) -> Iterator[Mended]:
    """Mend what is safe to mend of these; what is not is left as it is."""
    hashes_done = False
    for problem in problems:
        if problem.code == "LEDGER_HASHES_WRONG":
            did = None if hashes_done else _hashes(bench)
            hashes_done = True
        else:
            did = _mend_one(bench, problem)
        if did is not None:
            _log.warning("%s", json.dumps({"mended": problem.code, "name": problem.name, "did": did}))
            yield Mended(problem.code, problem.name, did)


def _mend_one(bench: Bench, problem: Problem) -> str | None:
    if problem.code == "FILE_STRAY":
        return _stray(bench, problem.name)
    if problem.code == "BLOB_UNNAMED":
        return _moved(bench.store.aside(name_of(Sha256(problem.name)), bench.quarantine))
    if problem.code in ("BLOB_DAMAGED", "BLOB_MISSING"):
        return _blob(bench, Sha256(problem.name))
    if problem.code in ("RECEIPT_MISSING", "RECEIPT_DAMAGED"):
        return _receipt(bench, problem.name)
    if problem.code == "UPLOAD_WITHOUT_CLIP":
        with begin(bench.engine) as db:
            db.execute(sa.update(upload).where(upload.c.id == problem.name).values(state="open", result=None))
        return "it is open again"
    return None


def _stray(bench: Bench, name: str) -> str | None:
    """Move what is no blob out of the store, or a file from among the unfinished uploads."""
    inside = name.removeprefix(f"{bench.store.where}/")
    if inside != name:
        return _moved(bench.store.aside(inside, bench.quarantine))
    path = Path(name)
    return _moved(move_aside(path, bench.quarantine, path.name.lstrip(".")))


def _moved(target: Path | None) -> str | None:
    return None if target is None else f"moved to {target}"


def _blob(bench: Bench, digest: Sha256) -> str | None:
    """Bring a blob back from a copy whose digest fits."""
    for source in _copies(bench, digest):
        try:
            with source.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    continue
        except OSError:
            continue
        moved = _moved(bench.store.aside(name_of(digest), bench.quarantine))
        if bench.store.put(source) == digest:
            return f"brought back from {source}" + (f"; the damaged one was {moved}" if moved else "")
    return None


def _copies(bench: Bench, digest: Sha256) -> Iterator[Path]:
    if bench.backup is not None:
        yield bench.backup / "blobs" / digest[:2] / digest[2:]
    folder = bench.shelf.folder
    if folder.is_dir():
        yield from sorted(folder.glob(f"*/audio/{digest[:2]}/{digest}.flac"))


def _receipt(bench: Bench, clip_id: str) -> str | None:
    """Make a receipt again from the entry that took the clip in."""
    with begin(bench.engine) as db:
        query = (
            sa.select(sa.func.min(ledger_entry.c.seq))
            .join(clip, clip.c.item_id == ledger_entry.c.item_id)
            .join(ledger_detail, ledger_detail.c.seq == ledger_entry.c.seq)
            .where(clip.c.id == clip_id, ledger_entry.c.event.in_(("accepted", "refused")))
        )
        seq = db.execute(query).scalar()
        if seq is None:
            return None  # withdrawn or unknown to the log: there is nothing to promise
        details = db.execute(sa.select(ledger_detail.c.details).where(ledger_detail.c.seq == seq)).scalar()
        if not isinstance(details, dict) or details.get("clip_id") != clip_id:
            return None
        damaged = db.execute(sa.select(receipt.c.body).where(receipt.c.clip_id == clip_id)).scalar()
        made = ledger.receipt(db, seq, bench.signer, now_ms=bench.now_ms)
        if damaged is not None:
            bench.quarantine.mkdir(parents=True, exist_ok=True, mode=0o700)
            kept = bench.quarantine / f"{clip_id}.{bench.now_ms}.receipt.json"
            write_durably(kept, json.dumps(damaged).encode(), mode=0o600)
            db.execute(sa.delete(receipt).where(receipt.c.clip_id == clip_id))
        clips.add_receipt(db, clip_id, seq, made.as_json())
    return f"made again from entry {seq}"


def _hashes(bench: Bench) -> str | None:
    try:
        with begin(bench.engine) as db:
            made = ledger_check.rebuild_nodes(db, keyring.current(db, bench.signer).verifier)
            return f"{made} hashes made again"
    except ReceiptInvalid:
        return None
