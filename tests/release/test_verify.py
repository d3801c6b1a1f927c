"""Verifying names every kind of damage by file and line, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from corpus import header, manifest, verify
from corpus.build import ReleaseLeak, build
from corpus.leaks import Proof
from corpus.liketexts import fold


@pytest.fixture
def folder(cut_world) -> Path:
    return cut_world.shelf.path("r1")


def check(folder: Path) -> list[verify.Finding]:
    return list(verify.verify(folder, setting="inline").findings)


def replace(path: Path, data: bytes) -> None:
    path.unlink()  # sounds share their inode with the store
    path.write_bytes(data)


def flip(path: Path, at: int = -3) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    replace(path, bytes(data))


def test_a_whole_release_has_no_finding(folder):
    assert check(folder) == []


@pytest.mark.parametrize(
    "name",
    ["README.md", "manifest.parquet", "speakers.jsonl", "SHA256SUMS", "plots/snr.svg", "changes/added.jsonl"],
)
def test_a_flipped_bit_in_any_file_is_found(name, folder):
    flip(folder / name)
    assert name in {finding.file for finding in check(folder)}
    (folder / name).unlink()
    assert any(finding.file == name and "No such file" in finding.detail for finding in check(folder))


def test_each_damage_to_a_sound_is_named_with_its_line(folder):
    lines = list(manifest.read(folder / "manifest.jsonl"))
    flip(folder / lines[0].audio)
    (folder / lines[3].audio).unlink()
    replace(folder / lines[5].audio, (folder / lines[5].audio).read_bytes()[:-100])
    replace(folder / lines[7].audio, (folder / lines[8].audio).read_bytes())
    found = {(finding.file, finding.line) for finding in check(folder)}
    assert found == {(lines[n].audio, n + 1) for n in (0, 3, 5, 7)}


def test_a_sound_that_no_line_names_is_a_stranger(folder):
    lines = list(manifest.read(folder / "manifest.jsonl"))
    stranger = folder / "audio/00" / ("0" * 64 + ".flac")
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_bytes((folder / lines[0].audio).read_bytes())
    assert [finding.file for finding in check(folder)] == [stranger.relative_to(folder).as_posix()]


def test_a_bad_line_does_not_hide_the_others(folder):
    path = folder / "manifest.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    rows[1] = rows[1].replace(b'"grade":"', b'"mood":"glad","grade":"')
    rows[4] = b"nonsense\n"
    replace(path, b"".join(rows))
    numbers = {finding.line for finding in check(folder) if finding.code == "MANIFEST_INVALID"}
    assert numbers == {2, 5}


def test_lines_that_leak_are_found_even_if_every_digest_agrees(folder):
    """The check looks at the lines themselves, not at who vouches for them."""
    rows = list(manifest.read(folder / "manifest.jsonl"))
    proof = Proof(fold)
    for line in rows:
        proof.feed(line)
    assert proof.leaks == []
    import msgspec

    moved = "test" if rows[0].split != "test" else "dev"
    proof.feed(msgspec.structs.replace(rows[0], split=moved))
    assert {leak.kind for leak in proof.leaks} >= {
        "speaker",
        "session",
        "recording",
        "prompt",
        "text",
        "sound",
    }


def test_proof_is_the_same_however_many_lines_it_compares_at_once(folder, monkeypatch):
    """Every leak is named and every value counted once, whether it came in the same batch or before."""
    import msgspec

    from corpus import leaks

    rows = list(manifest.read(folder / "manifest.jsonl"))
    moved = msgspec.structs.replace(rows[1], split="test" if rows[1].split != "test" else "dev")
    told = []
    for batch in (1, 3, 16_384):
        monkeypatch.setattr(leaks, "_BATCH", batch)
        proof = Proof(fold)
        for line in (*rows, moved, rows[2]):
            proof.feed(line)
        told.append((sorted(map(str, proof.leaks)), dict(proof.counts), dict(proof.counts_by_split)))
    assert told[0] == told[1] == told[2]
    assert told[0][1]["speaker"] == len({line.speaker_id for line in rows})
    assert told[0][1]["recording"] == len({line.recording_id for line in rows})


def test_building_refuses_a_split_that_leaks(folder, tmp_path, a_line):
    from corpus.build import Outline
    from corpus.card import Words

    texts = ("name", "project", "title", "language", "orthography", "rules_version", "license")
    outline = Outline(
        **dict.fromkeys(texts, "x"),
        words=Words({}, ""),
        revision=1,
        created_at="",
        previous=None,
        replaces=None,
        history=(),
        split={"seed": 0.0},
        split_notes=(),
        profiles=(),
        privacy_k=1,
        ledger_head=None,
    )
    lines = [a_line(1, split="train"), a_line(2, split="test")]
    with pytest.raises(ReleaseLeak, match="speaker S00000001"):
        build(
            tmp_path,
            outline,
            manifest.rows(lines),
            previous=(),
            rooms=(),
            excluded=[],
            tombstones=[],
            signer=None,
        )


def test_a_false_count_in_the_header_is_found(folder):
    path = folder / "release.json"
    raw = json.loads(path.read_bytes())
    raw["counts"]["clips"] += 1
    path.write_text(json.dumps(raw))
    details = [finding.detail for finding in check(folder)]
    assert any("25 clips, there are 24" in detail for detail in details)


def test_a_changed_header_does_not_keep_its_signature(folder, cut_world):
    path = folder / "release.json"
    path.write_bytes(path.read_bytes().replace(b"Tales of the coast", b"Tails of the coast"))
    report = verify.verify(folder, setting="inline", vkeys=[str(cut_world.shelf.signer.verifier)])
    assert report.signature == "wrong"
    assert [finding.code for finding in report.findings] == ["PULL_SIGNATURE_WRONG"]


def test_no_header_is_an_error_of_its_own(tmp_path):
    with pytest.raises(header.ReleaseInvalid):
        verify.verify(tmp_path)


def test_the_command_exits_1_with_findings_and_2_when_it_cannot_run(folder, tmp_path, xiangyin_command):
    env = {**os.environ, "XIANGYIN_DATA": str(folder.parent.parent), "XIANGYIN_COMPUTE": "inline"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*xiangyin_command, *words], capture_output=True, text=True, cwd=tmp_path, env=env
        )

    assert run("release", "verify", "r1").returncode == 0
    flip(folder / "README.md")
    done = run("release", "verify", "r1", "--format", "json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert rows[0]["file"] == "README.md" and rows[-1]["ok"] is False and rows[-1]["findings"] == 1
    done = run("release", "verify", "./nothing")
    assert done.returncode == 2 and done.stderr.startswith("RELEASE_INVALID")
    assert len(done.stderr.splitlines()) == 1


def run_diff(xiangyin_command, cut_world, cwd, *words: str) -> tuple[int, list[dict]]:
    env = {**os.environ, "XIANGYIN_DATA": str(cut_world.data)}
    command = [*xiangyin_command, "release", "diff", *words, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env)
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def changed_world(cut_world):
    """r2: one clip more, one text settled anew, one clip measured anew, one clip withdrawn, one refused."""
    import sqlalchemy as sa

    from corpus import digests, tables
    from corpus.database import begin

    first = list(manifest.read(cut_world.shelf.path("r1") / "manifest.jsonl"))
    names = [cut_world_clip(line.id) for line in first]
    cut_world.clip(cut_world.speaker(), "後來的錄音。")
    t, m, c = tables.transcript, tables.measurement, tables.clip
    with begin(cut_world.engine) as db:
        digest = digests.of_text(names[0], "文字改過了。", "文字改過了。", [], "complete")
        new = {"text": "文字改過了。", "text_raw": "文字改過了。", "digest": digest}
        db.execute(sa.update(t).where(t.c.clip_id == names[0]).values(**new))
        old = db.execute(sa.select(m).where(m.c.clip_id == names[1])).mappings().one()
        row = {**old, "figures": {**old["figures"], "snr_db": 22.5}, "method": "levels-2"}
        db.execute(sa.insert(m).values({key: value for key, value in row.items() if key != "id"}))
        db.execute(sa.update(c).where(c.c.id == names[3]).values(state="refused"))
    cut_world.withdraw(names[2])
    cut_world.cut("r2")
    return cut_world, [line.id for line in first]


def test_diff_names_what_was_added_withdrawn_and_changed(changed_world, tmp_path, xiangyin_command):
    world, ids = changed_world
    status, rows = run_diff(xiangyin_command, world, tmp_path, "r1", "r2")
    assert status == 1
    changed = {row["id"]: row["kinds"] for row in rows if row["change"] == "changed"}
    assert changed == {ids[0]: ["text"], ids[1]: ["measured"]}
    gone = {row["id"]: row["reason"] for row in rows if row["change"] == "withdrawn"}
    assert gone == {ids[2]: "excluded.withdrawn", ids[3]: "excluded.refused"}
    assert sum(row["change"] == "added" for row in rows) == 1
    assert run_diff(xiangyin_command, world, tmp_path, "r1", "r1") == (0, [])


def test_diff_of_a_filtered_copy_takes_nothing_for_withdrawn(changed_world, tmp_path, xiangyin_command):
    from corpus import pull, sources
    from corpus.dataset import Wanted

    world, _ = changed_world
    source, _ = sources.parse(str(world.shelf.folder), None)
    copy = tmp_path / "copy"
    pull.pull(source, copy, name="r2", wanted=Wanted(split="test"))
    assert run_diff(xiangyin_command, world, tmp_path, str(copy), "r2") == (0, [])
    whole = run_diff(xiangyin_command, world, tmp_path, "r1", "r2")
    assert run_diff(xiangyin_command, world, tmp_path, "r1", str(copy)) == whole


def cut_world_clip(line_id: str) -> str:
    from corpus.selection import clip_id_of

    return clip_id_of(line_id)
