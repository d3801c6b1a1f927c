"""``fsck``: every blob, row, log entry, receipt and release against each other. It changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from corpus import ledger
from corpus.database import is_sqlite, reading
from corpus.keys import verify_ed25519
from corpus.shelf import Shelf
from corpus.store import BlobStore
from corpus.tables import clip, ledger_entry, measurement, receipt, upload
from protocol import tlog
from protocol.clip import MetadataInvalid, Receipt, Sha256
from protocol.errors import CodedError


@dataclass(frozen=True)
class Problem:
    """One thing that does not fit: what kind, which one, and what is wrong with it."""

    kind: str  # database | blob | clip | upload | ledger | receipt | release
    name: str
    says: str

    def as_json(self) -> dict[str, str]:
        """``{"kind","name","problem"}``."""
        return {"kind": self.kind, "name": self.name, "problem": self.says}


def everything(engine: Engine, store: BlobStore, key: tlog.VerifierKey, shelf: Shelf) -> Iterator[Problem]:
    """Every problem there is, database first."""
    with reading(engine) as db:
        yield from database(db)
        yield from rows(db)
        yield from log(db, key)
        yield from blobs(db, store)
    yield from releases(shelf)


def database(db: Connection) -> Iterator[Problem]:
    """What the database finds in itself."""
    if not is_sqlite(db):
        return
    for (text,) in db.exec_driver_sql("PRAGMA integrity_check"):
        if text != "ok":
            yield Problem("database", "integrity", str(text))
    for row in db.exec_driver_sql("PRAGMA foreign_key_check"):
        yield Problem("database", str(row[0]), f"row {row[1]} names a row of {row[2]} that is not there")


def rows(db: Connection) -> Iterator[Problem]:
    """Clips without what belongs to them, and uploads that say done without a clip."""
    lacking = (
        ("no receipt", sa.select(receipt.c.clip_id)),
        ("no measurement", sa.select(measurement.c.clip_id)),
    )
    for says, there in lacking:
        query = sa.select(clip.c.id).where(clip.c.id.not_in(there))
        if says == "no measurement":
            query = query.where(clip.c.state != "withdrawn")
        for name in db.execute(query).scalars():
            yield Problem("clip", name, says)
    logged = sa.select(ledger_entry.c.item_id).where(ledger_entry.c.item_id.is_not(None))
    for name in db.execute(sa.select(clip.c.id).where(clip.c.item_id.not_in(logged))).scalars():
        yield Problem("clip", name, "no entry in the log")
    done = sa.select(upload.c.id).where(
        upload.c.state == "done", upload.c.clip_id.not_in(sa.select(clip.c.id))
    )
    for name in db.execute(done).scalars():
        yield Problem("upload", name, "finished, but there is no such clip")


def log(db: Connection, key: tlog.VerifierKey) -> Iterator[Problem]:
    """The log against its own hashes and heads, and every receipt against the log."""
    for says in ledger.check_stored(db, key):
        yield Problem("ledger", "log", says)
    for clip_id, body in db.execute(sa.select(receipt.c.clip_id, receipt.c.body)):
        try:
            tlog.check_receipt(
                Receipt.from_json(body), verify_ed25519=verify_ed25519, canonical=ledger.canonical
            )
        except (tlog.ReceiptInvalid, MetadataInvalid) as error:
            yield Problem("receipt", clip_id, str(error.parameters["problem"]))


def blobs(db: Connection, store: BlobStore) -> Iterator[Problem]:
    """Every blob's bytes against its name, every clip's blob, and blobs that nothing names."""
    columns = clip.c
    named: dict[str, list[tuple[str, int, bool]]] = {}
    for row in db.execute(sa.select(columns.id, columns.sha256, columns.bytes, columns.state)):
        named.setdefault(row.sha256, []).append((row.id, row.bytes, row.state == "withdrawn"))
    stored = set()
    for digest in store:
        stored.add(digest)
        wanted = [one for one in named.get(digest, []) if not one[2]]
        if not wanted:
            yield Problem("blob", digest, "no clip that stands names it")
        with store.open(digest) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:  # type: ignore[arg-type]
                yield Problem("blob", digest, "its bytes are not those of its name")
        size_bytes = store.size(digest)
        for clip_id, bytes_, _ in wanted:
            if size_bytes != bytes_:
                yield Problem("clip", clip_id, f"its blob has {size_bytes} bytes, its row says {bytes_}")
    for name, clips in sorted(named.items()):
        if Sha256(name) not in stored and any(not withdrawn for _, _, withdrawn in clips):
            names = ", ".join(clip_id for clip_id, _, withdrawn in clips if not withdrawn)
            yield Problem("blob", name, f"missing; it is the sound of {names}")


def releases(shelf: Shelf) -> Iterator[Problem]:
    """Every published release against itself."""
    from corpus import verify
    from corpus.tables import release

    with reading(shelf.engine) as db:
        names = list(db.execute(sa.select(release.c.name).order_by(release.c.name)).scalars())
    for name in names:
        try:
            report = verify.verify(shelf.path(name), setting="inline")
        except CodedError as error:
            yield Problem("release", name, str(error))
            continue
        for finding in report.findings:
            yield Problem("release", f"{name}/{finding.file}", f"{finding.code} {finding.detail}")
