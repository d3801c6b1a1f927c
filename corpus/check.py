"""``fsck``: every blob, row, log entry, receipt and release against each other. It changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from corpus import digests, erasure, keyring, ledger, ledger_check
from corpus.database import is_sqlite, reading
from corpus.keys import verify_ed25519
from corpus.partials import Partials
from corpus.shelf import Shelf
from corpus.store import BlobMissing, BlobStore, at_work
from corpus.tables import clip, ledger_detail, ledger_entry, measurement, receipt, transcript, upload
from protocol import tlog
from protocol.clip import MetadataInvalid, Receipt, Sha256
from protocol.errors import CodedError
from protocol.keyring import Ring

PARTS = ("blobs", "rows", "ledger", "receipts", "releases")

ADVICE: Mapping[str, tuple[str, str]] = {
    "DATABASE_DAMAGED": ("database", "Stop the server and restore the latest backup beside this folder."),
    "ROW_DANGLING": ("database", "Restore the latest backup beside this folder and compare."),
    "RECEIPT_MISSING": ("clip", "--repair makes it again from the log."),
    "MEASUREMENT_MISSING": ("clip", "Run xiangyin remeasure."),
    "ENTRY_MISSING": (
        "clip",
        "Compare with a backup: the log does not know this row.",
    ),
    "ROW_CHANGED": ("clip", "Compare with a backup; the log holds what was promised."),
    "TEXT_CHANGED": ("clip", "Compare with a backup; a release leaves this text out."),
    "UPLOAD_WITHOUT_CLIP": ("upload", "--repair opens it again, so that its client can send the rest."),
    "LEDGER_DAMAGED": ("ledger", "Restore the latest backup beside this folder and compare."),
    "LEDGER_HASHES_WRONG": ("ledger", "--repair makes the hashes again, if the entries are those signed."),
    "RECEIPT_DAMAGED": ("receipt", "--repair makes it again from the log, and keeps the damaged one."),
    "BLOB_UNNAMED": ("blob", "--repair moves it to quarantine."),
    "BLOB_OF_WITHDRAWN": (
        "blob",
        "A running server erases it when the store lets it; or run the withdrawal again.",
    ),
    "BLOB_DAMAGED": ("blob", "--repair brings it back from a release, or with --from from a backup."),
    "BLOB_SIZE": ("clip", "Compare with a backup."),
    "BLOB_MISSING": ("blob", "--repair brings it back from a release, or with --from from a backup."),
    "FILE_STRAY": ("file", "--repair moves it to quarantine."),
    "RELEASE_DAMAGED": ("release", "Compare with a copy that was pulled, or with a backup."),
}
"""Every code: the kind of thing it is about, and what to do."""


@dataclass(frozen=True)
class Problem:
    """One thing that does not fit: its code, which one, and what is wrong with it."""

    code: str
    name: str
    says: str

    @property
    def kind(self) -> str:
        """``database``, ``blob``, ``clip``, ``upload``, ``ledger``, ``receipt``, ``file`` or ``release``."""
        return ADVICE[self.code][0]

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.code][1]

    def as_json(self) -> dict[str, str]:
        """``{"kind","code","name","problem","advice"}``."""
        return {
            "kind": self.kind,
            "code": self.code,
            "name": self.name,
            "problem": self.says,
            "advice": self.advice,
        }


def everything(
    engine: Engine,
    store: BlobStore,
    key: tlog.VerifierKey,
    shelf: Shelf,
    *,
    partials: Partials | None = None,
    only: Collection[str] = PARTS,
) -> Iterator[Problem]:
    """Every problem there is in these of `PARTS`, database first."""
    with reading(engine) as db:
        if "rows" in only:
            yield from database(db)
            yield from rows(db)
        if "ledger" in only:
            yield from log(db, key)
        if "receipts" in only:
            yield from receipts(db, key)
        if "blobs" in only:
            yield from blobs(db, store)
            yield from strays(db, store, partials)
    if "releases" in only:
        yield from releases(shelf, key)


def database(db: Connection) -> Iterator[Problem]:
    """What the database finds in itself."""
    if not is_sqlite(db):
        return
    for (text,) in db.exec_driver_sql("PRAGMA integrity_check"):
        if text != "ok":
            yield Problem("DATABASE_DAMAGED", "integrity", str(text))
    for row in db.exec_driver_sql("PRAGMA foreign_key_check"):
        says = f"row {row[1]} names a row of {row[2]} that is not there"
        yield Problem("ROW_DANGLING", str(row[0]), says)


def rows(db: Connection) -> Iterator[Problem]:
    """Clips without what belongs to them, and uploads that say done without a clip."""
    lacking = (
        ("RECEIPT_MISSING", "no receipt", sa.select(receipt.c.clip_id)),
        ("MEASUREMENT_MISSING", "no measurement", sa.select(measurement.c.clip_id)),
    )
    for code, says, there in lacking:
        query = sa.select(clip.c.id).where(clip.c.id.not_in(there))
        if code == "MEASUREMENT_MISSING":
            query = query.where(clip.c.state != "withdrawn")
        for name in db.execute(query).scalars():
            yield Problem(code, name, says)
    logged = sa.select(ledger_entry.c.item_id).where(ledger_entry.c.item_id.is_not(None))
    for name in db.execute(sa.select(clip.c.id).where(clip.c.item_id.not_in(logged))).scalars():
        yield Problem("ENTRY_MISSING", name, "no entry in the log")
    done = sa.select(upload.c.id).where(
        upload.c.state == "done", upload.c.clip_id.not_in(sa.select(clip.c.id))
    )
    for name in db.execute(done).scalars():
        yield Problem("UPLOAD_WITHOUT_CLIP", name, "finished, but there is no such clip")
    yield from _promised(db)
    yield from _texts(db)


def _texts(db: Connection) -> Iterator[Problem]:
    """Transcripts that are not what was handed in."""
    for row in db.execute(sa.select(transcript).where(transcript.c.digest.is_not(None))):
        found = digests.of_text(row.clip_id, row.text_raw, row.text, row.events, row.status)
        if found != row.digest:
            yield Problem("TEXT_CHANGED", row.clip_id, f"its transcript {row.id} was edited in the database")


def _promised(db: Connection) -> Iterator[Problem]:
    """Clips whose row is not what the log committed to when they were taken in."""
    first = (
        sa.select(ledger_entry.c.item_id, sa.func.min(ledger_entry.c.seq).label("seq"))
        .where(ledger_entry.c.event.in_(("accepted", "refused")))
        .group_by(ledger_entry.c.item_id)
        .subquery()
    )
    query = (
        sa.select(clip, ledger_detail.c.details)
        .join(first, first.c.item_id == clip.c.item_id)
        .outerjoin(ledger_detail, ledger_detail.c.seq == first.c.seq)
        .where(clip.c.state != "withdrawn")
    )
    for row in db.execute(query):
        if row.details is None:
            yield Problem("ROW_CHANGED", row.id, "what its entry in the log commits to is missing")
            continue
        known = {
            "clip_id": row.id,
            "sha256": row.upload_sha256,
            "samples": row.samples,
            "sample_rate_hz": row.sample_rate_hz,
        }
        for field, value in known.items():
            if row.details.get(field) != value:
                says = f"its {field} is {value!r}, the log says {row.details.get(field)!r}"
                yield Problem("ROW_CHANGED", row.id, says)


def log(db: Connection, key: tlog.VerifierKey) -> Iterator[Problem]:
    """The log against its own hashes, commitments and heads."""
    for says in ledger_check.check_stored(db, key):
        hashes = says.startswith("the hash at level")
        yield Problem("LEDGER_HASHES_WRONG" if hashes else "LEDGER_DAMAGED", "log", says)


def receipts(db: Connection, key: tlog.VerifierKey) -> Iterator[Problem]:
    """Every receipt against its signature, its clip and the log."""
    ring = _ring(db, key)
    query = (
        sa.select(receipt, ledger_entry.c.leaf, clip.c.item_id)
        .outerjoin(ledger_entry, ledger_entry.c.seq == receipt.c.seq)
        .outerjoin(clip, clip.c.id == receipt.c.clip_id)
    )
    for row in db.execute(query):
        says = _receipt_problem(row, ring)
        if says is not None:
            yield Problem("RECEIPT_DAMAGED", row.clip_id, says)


def _ring(db: Connection, key: tlog.VerifierKey) -> Ring:
    """The log's keys; the present one alone where its chain is broken, which `log` tells of."""
    try:
        return keyring.ring(db, key)
    except tlog.ReceiptInvalid:
        return Ring.of([str(key)])


def _receipt_problem(row: sa.Row[tuple[object, ...]], ring: Ring) -> str | None:
    try:
        body = Receipt.from_json(row.body)
        head = tlog.check_receipt(body, verify_ed25519=verify_ed25519, canonical=ledger.canonical)
    except (tlog.ReceiptInvalid, MetadataInvalid) as error:
        return str(error.parameters["problem"])
    if not ring.trusts(body.vkey, head.size):
        return "it is signed by a key that was not the log's then"
    if body.details.get("clip_id") != row.clip_id or json.loads(body.entry).get("item") != row.item_id:
        return "it is for another clip"
    if body.entry != row.leaf:
        return "its entry is not the one in the log"
    return None


def blobs(db: Connection, store: BlobStore) -> Iterator[Problem]:
    """Every blob's bytes against its name, every clip's blob, and blobs that nothing names."""
    columns = clip.c
    named: dict[str, list[tuple[str, int, bool]]] = {}
    for row in db.execute(sa.select(columns.id, columns.sha256, columns.bytes, columns.state)):
        named.setdefault(row.sha256, []).append((row.id, row.bytes, row.state == "withdrawn"))
    stored = set()
    pending = {one.sha256: one for one in erasure.waiting(db)}
    for digest in store:
        stored.add(digest)
        wanted = [one for one in named.get(digest, []) if not one[2]]
        if not wanted:
            code = "BLOB_OF_WITHDRAWN" if digest in named else "BLOB_UNNAMED"
            yield Problem(code, digest, _unnamed(pending.get(digest)))
        try:
            with store.open(digest) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
                size_bytes = file.tell()
        except BlobMissing:
            continue  # withdrawn since it was listed
        if found != digest:
            yield Problem("BLOB_DAMAGED", digest, "its bytes are not those of its name")
        for clip_id, bytes_, _ in wanted:
            if size_bytes != bytes_:
                yield Problem("BLOB_SIZE", clip_id, f"its blob has {size_bytes} bytes, its row says {bytes_}")
    for name, clips in sorted(named.items()):
        if Sha256(name) not in stored and any(not withdrawn for _, _, withdrawn in clips):
            names = ", ".join(clip_id for clip_id, _, withdrawn in clips if not withdrawn)
            yield Problem("BLOB_MISSING", name, f"missing; it is the sound of {names}")


def _unnamed(waiting: erasure.Waiting | None) -> str:
    says = "no clip that stands names it"
    if waiting is None:
        return says
    last = "" if waiting.problem is None else f", the last of which ended with {waiting.problem}"
    return f"{says}; to be erased since {ledger.rfc3339(waiting.asked_ms)}, {waiting.tries} tries{last}"


def strays(db: Connection, store: BlobStore, partials: Partials | None) -> Iterator[Problem]:
    """Files that no part of the program will look at again."""
    for name in store.strays():
        yield Problem("FILE_STRAY", f"{store.where}/{name}", "no blob has such a name")
    if partials is None:
        return
    waiting = set(db.execute(sa.select(upload.c.id).where(upload.c.state == "open")).scalars())
    for path in sorted(p for p in partials.folder.iterdir() if not p.is_dir()):
        if path.name.removesuffix(".part") not in waiting and not at_work(path):
            yield Problem("FILE_STRAY", str(path), "no open upload has such a file")


def releases(shelf: Shelf, key: tlog.VerifierKey) -> Iterator[Problem]:
    """Every published release against itself and the log's keys."""
    from corpus import verify
    from corpus.tables import release

    with reading(shelf.engine) as db:
        names = list(db.execute(sa.select(release.c.name).order_by(release.c.name)).scalars())
        vkeys = _ring(db, key).vkeys
    for name in names:
        try:
            report = verify.verify(shelf.path(name), setting="inline", vkeys=vkeys)
        except CodedError as error:
            yield Problem("RELEASE_DAMAGED", name, str(error))
            continue
        for finding in report.findings:
            yield Problem("RELEASE_DAMAGED", f"{name}/{finding.file}", f"{finding.code} {finding.detail}")
