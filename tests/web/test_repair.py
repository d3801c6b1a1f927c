"""A store damaged in every way: fsck names each, changes nothing, and mends only what loses nothing."""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import xiangyin
from corpus import tables
from corpus.database import begin


@pytest.fixture
def run(settings):
    def call(*words: str):
        done = CliRunner().invoke(xiangyin.cli, (*words, "--data", str(settings.data)))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]

    return call


@pytest.fixture
def sent(speaker, make):
    clips = [make.clip(make.file(make.samples(n))) for n in (1, 2)]
    for clip in clips:
        speaker.send(clip)
    return clips


def change(site, statement) -> None:
    with site.engine.connect() as db:  # as a stranger's hand would: with no regard to foreign keys
        db.exec_driver_sql("COMMIT")
        db.exec_driver_sql("PRAGMA foreign_keys=OFF")
        db.exec_driver_sql("BEGIN IMMEDIATE")
        db.execute(statement)
        db.exec_driver_sql("COMMIT")
        db.exec_driver_sql("PRAGMA foreign_keys=ON")
        db.exec_driver_sql("BEGIN")


t = tables
ROWS = {
    "clip gone": (lambda c: sa.delete(t.clip).where(t.clip.c.id == c.clip_id), "UPLOAD_WITHOUT_CLIP"),
    "clip of another size": (lambda c: sa.update(t.clip).values(bytes=1), "BLOB_SIZE"),
    "clip of other samples": (lambda c: sa.update(t.clip).values(samples=7), "ROW_CHANGED"),
    "clip of another item": (
        lambda c: sa.update(t.clip).where(t.clip.c.id == c.clip_id).values(item_id="x"),
        "ENTRY_MISSING",
    ),
    "receipt gone": (lambda c: sa.delete(t.receipt), "RECEIPT_MISSING"),
    "receipt of another place": (lambda c: sa.update(t.receipt).values(seq=0), "RECEIPT_DAMAGED"),
    "receipt empty": (lambda c: sa.update(t.receipt).values(body={}), "RECEIPT_DAMAGED"),
    "measurement gone": (lambda c: sa.delete(t.measurement), "MEASUREMENT_MISSING"),
    "measurement orphaned": (lambda c: sa.update(t.measurement).values(clip_id="x"), "ROW_DANGLING"),
    "entry changed": (
        lambda c: sa.update(t.ledger_entry).values(leaf=sa.func.replace(t.ledger_entry.c.leaf, "c", "d")),
        "LEDGER_DAMAGED",
    ),
    "entry's columns changed": (lambda c: sa.update(t.ledger_entry).values(event="paid"), "LEDGER_DAMAGED"),
    "entry gone": (lambda c: sa.delete(t.ledger_entry).where(t.ledger_entry.c.seq == 1), "LEDGER_DAMAGED"),
    "details gone": (lambda c: sa.delete(t.ledger_detail), "ROW_CHANGED"),
    "details changed": (lambda c: sa.update(t.ledger_detail).values(details={}), "LEDGER_DAMAGED"),
    "hash changed": (lambda c: sa.update(t.ledger_node).values(hash="00" * 32), "LEDGER_HASHES_WRONG"),
    "hash gone": (lambda c: sa.delete(t.ledger_node), "LEDGER_HASHES_WRONG"),
    "head changed": (lambda c: sa.update(t.ledger_head).values(note="x"), "LEDGER_DAMAGED"),
}


@pytest.mark.parametrize("damage", ROWS)
def test_every_damaged_row_is_named(sent, site, run, damage):
    """Each table that a promise rests on: a changed, missing or orphaned row is told with its code."""
    make_statement, code = ROWS[damage]
    change(site, make_statement(sent[0]))
    status, rows = run("fsck", "--json")
    assert status == 1 and code in {row.get("code") for row in rows}
    assert run("fsck", "--json") == (status, rows)  # looking changed nothing


def test_receipts_swapped_between_clips_are_named(sent, site, run):
    """Each is a good receipt; but a speaker would hold a promise about another recording."""
    with begin(site.engine) as db:
        one, other = db.execute(sa.select(t.receipt)).all()
        for row, wrong in ((one, other), (other, one)):
            change = sa.update(t.receipt).where(t.receipt.c.clip_id == row.clip_id)
            db.execute(change.values(body=wrong.body, seq=wrong.seq))
    _, rows = run("fsck", "--json", "--only", "receipts")
    assert [row.get("code") for row in rows[:-1]] == ["RECEIPT_DAMAGED"] * 2
    assert run("fsck", "--json", "--repair")[0] == 0
    assert run("fsck", "--json") == (0, [{"problems": 0}])


def test_a_part_looks_at_nothing_else(sent, site, run):
    site.store.path(sent[0].sha256).unlink()
    for part in ("rows", "ledger", "receipts", "releases"):
        assert run("fsck", "--json", "--only", part) == (0, [{"problems": 0}])
    assert run("fsck", "--json", "--only", "rows", "--only", "blobs")[0] == 1


@pytest.mark.parametrize("damage", ["receipt gone", "receipt empty", "hash changed", "hash gone"])
def test_what_follows_from_the_log_is_made_again(sent, site, run, damage):
    change(site, ROWS[damage][0](sent[0]))
    assert run("fsck", "--repair", "--json")[0] == 0
    assert run("fsck", "--json") == (0, [{"problems": 0}])


def test_an_edited_log_gets_no_new_hashes(sent, site, run):
    """Hashes made over edited entries would hide the edit."""
    change(site, ROWS["entry changed"][0](sent[0]))
    with begin(site.engine) as db:
        before = db.execute(sa.select(t.ledger_node)).all()
    assert run("fsck", "--repair", "--json")[0] == 1
    with begin(site.engine) as db:
        assert db.execute(sa.select(t.ledger_node)).all() == before


def test_nothing_is_deleted_by_a_repair(sent, site, run, settings):
    """A blob that nothing names may be the last copy of a clip whose row was lost."""
    site.store.put_bytes(b"nobody's")
    stray = site.store.folder / "ab"
    stray.mkdir(exist_ok=True)
    (stray / "notes.txt").write_bytes(b"whose?")
    old = site.store.folder / ".0123.part"
    old.write_bytes(b"half")
    os.utime(old, (1, 1))
    damaged = site.store.path(sent[0].sha256)
    damaged.write_bytes(b"?")
    kept = sorted(p.read_bytes() for p in settings.data.rglob("*") if p.is_file() and "sqlite" not in p.name)
    status, rows = run("fsck", "--repair", "--json")
    assert status == 1 and {row.get("code") for row in rows[3:-1]} == {"BLOB_DAMAGED", "BLOB_SIZE"}
    assert {row["mended"] for row in rows[:3]} == {"BLOB_UNNAMED", "FILE_STRAY"}
    assert damaged.read_bytes() == b"?"  # no copy was found, so it stays where it is
    after = sorted(p.read_bytes() for p in settings.data.rglob("*") if p.is_file() and "sqlite" not in p.name)
    assert not Counter(kept) - Counter(after)  # locks are empty files, of which there may be more now


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_blob_comes_back_from_a_backup_whose_digest_fits(sent, site, run, tmp_path, settings, damage):
    copy = tmp_path / "copy"
    run("backup", str(copy))
    path = site.store.path(sent[0].sha256)
    good = path.read_bytes()
    other = copy / "blobs" / sent[1].sha256[:2] / sent[1].sha256[2:]
    other.write_bytes(b"wrong")
    second = site.store.path(sent[1].sha256)
    second.unlink()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(good[:-1] if damage == "cut" else bytes([good[0] ^ 1]) + good[1:])
    assert run("fsck", "--repair", "--json", "--from", str(copy))[0] == 1
    assert path.read_bytes() == good
    assert not second.exists()  # what the backup holds of it is not what was promised
    assert len(list((settings.data / "quarantine").glob("*"))) == (damage != "gone")


def test_an_upload_that_says_done_without_a_clip_is_opened_again(site, sent, run):
    """Its client still has the take, and can send it."""
    with begin(site.engine) as db:
        row = dict(db.execute(sa.select(t.upload)).mappings().first())
        db.execute(sa.insert(t.upload).values(**{**row, "id": "0" * 32, "clip_id": "lost"}))
    status, rows = run("fsck", "--repair", "--json")
    assert status == 0 and rows[0]["mended"] == "UPLOAD_WITHOUT_CLIP"
    with begin(site.engine) as db:
        assert db.execute(sa.select(t.upload.c.state).where(t.upload.c.clip_id == "lost")).scalar() == "open"
