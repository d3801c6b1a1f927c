"""Cutting: what goes in, what is left out and why, the same bytes, whole or absent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from corpus import check, header, manifest, publish, tables, verify
from corpus.database import begin, reading
from corpus.draft import Wish
from corpus.release import BlobsDamaged, ReleaseEmpty, ReleaseExists, cut


def lines(done) -> list[manifest.Line]:
    return list(manifest.read(done.folder / manifest.FILE_NAME))


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_a_release_has_every_promised_file_and_verifies(world):
    world.villages()
    done = world.cut()
    names = set(tree(done.folder))
    assert {
        "release.json",
        "release.note",
        "manifest.jsonl",
        "manifest.parquet",
        "speakers.jsonl",
        "sessions.jsonl",
        "README.md",
        "CHANGELOG.md",
        "croissant.json",
        "SHA256SUMS",
        "tombstones.jsonl",
        "excluded.jsonl",
        "changes/added.jsonl",
        "changes/changed.jsonl",
        "changes/withdrawn.jsonl",
    } <= names
    assert any(name.startswith("plots/") for name in names)
    assert (world.shelf.folder / "latest.json").is_file()
    assert sum(name.startswith("audio/") for name in names) == done.header.counts["clips"] == 24
    report = verify.verify(done.folder, setting="inline", vkeys=[str(world.shelf.signer.verifier)])
    assert report.findings == () and report.signature == "good"
    assert report.clips == 24


def test_sha256sum_agrees(world):
    world.villages()
    done = world.cut()
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=done.folder, capture_output=True
    )
    assert checked.returncode == 0, checked.stderr
    listed = {line.split("  ", 1)[1] for line in (done.folder / "SHA256SUMS").read_text().splitlines()}
    assert listed == set(tree(done.folder)) - {"SHA256SUMS", "release.json", "release.note"}


def test_the_header_names_every_other_file_with_digest_and_size(world):
    world.villages()
    done = world.cut()
    files = {n: d for n, d in tree(done.folder).items() if not n.startswith("audio/")}
    assert set(done.header.files) == set(files) - {"release.json", "release.note"}
    for name, entry in done.header.files.items():
        assert entry == header.FileEntry(header.sha256_of(files[name]), len(files[name]))


def test_the_same_state_gives_the_same_bytes(world, tmp_path):
    world.villages()
    world.engine.dispose()
    for copy in ("one", "two"):
        shutil.copytree(world.data, tmp_path / copy)
    made = []
    for copy in ("one", "two"):
        twin = type(world)(tmp_path / copy)
        made.append(tree(twin.cut().folder))
    assert made[0] == made[1]


def test_parquet_holds_the_same_rows(world):
    from pyarrow import parquet

    world.villages()
    done = world.cut()
    table = parquet.read_table(done.folder / "manifest.parquet")
    assert table.to_pylist() == rows(done.folder / "manifest.jsonl")


def test_speakers_sessions_and_prompts_lie_in_one_split(world):
    world.villages(speakers=12)
    found = lines(world.cut())
    assert {line.split for line in found} == {"train", "dev", "test"}
    for field in ("speaker_id", "session_id", "recording_id", "prompt_id", "text"):
        splits = {}
        for line in found:
            splits.setdefault(getattr(line, field), set()).add(line.split)
        assert all(len(names) == 1 for names in splits.values()), field


def test_every_clip_left_out_is_named_with_its_reason(world):
    world.project()
    ann, bob = world.speaker(), world.speaker()
    good = [world.clip(ann), world.clip(bob)]
    sound = world.store.open(world.store.put_bytes(b"")).read()
    assert sound == b""
    from_conftest = type(world).clip.__globals__["flac"]
    cases = {
        world.clip(ann, state="refused"): "excluded.refused",
        world.clip(ann, state="received"): "excluded.undecided",
        world.clip(ann, state="appealed"): "excluded.undecided",
        world.clip(ann, words=None): "excluded.no_text",
        world.clip(ann, status="incomplete"): "excluded.incomplete",
        world.clip(ann, words="有  兩個空格。"): "excluded.rules",
        world.clip(ann, snr_db=None): "excluded.unmeasured",
        world.clip(ann, sound=from_conftest(77)): None,
        world.clip(bob, sound=from_conftest(77)): "excluded.duplicate",
    }
    withdrawn = world.clip(ann)
    world.withdraw(withdrawn)
    cases[withdrawn] = "excluded.withdrawn"
    cat = world.speaker()
    cases[world.clip(cat)] = "excluded.consent"
    with begin(world.engine) as db:
        c = tables.consent.c
        db.execute(sa.update(tables.consent).where(c.person_id == cat).values(withdrawn_ms=5))
    done = world.cut()
    left_out = {row["id"].split("-")[1]: row["code"] for row in rows(done.folder / "excluded.jsonl")}
    assert left_out == {clip.replace("-", ""): code for clip, code in cases.items() if code}
    inside = {line.id.split("-")[1] for line in lines(done)}
    assert inside == {
        clip.replace("-", "") for clip in [*good, *[c for c, code in cases.items() if not code]]
    }


def test_a_hostile_name_stays_data(world):
    """Whatever a client called its session, and whatever a project is called, is no path, no markup."""
    world.project(title="<script>alert(1)</script> | `x` \n# head")
    ann = world.speaker(dialect="<img src=x onerror=1>|a", region="../../x")
    world.clip(ann, session="john.smith..2026")
    world.clip(ann, session="john.smith..2026", recorded_at="2099-01-01T00:00:00Z")
    done = world.cut(privacy_k=1)
    (first, second) = lines(done)
    assert first.session_id == second.session_id and "john" not in first.session_id
    assert second.recorded_on < "2099"
    everything = b"".join(tree(done.folder).values())
    assert b"Real Name" not in everything and b"john.smith" not in everything
    assert "<script>" not in (done.folder / "README.md").read_text().replace("\\<", "").split("---")[2]
    assert all(b"<img" not in data for name, data in tree(done.folder).items() if name.endswith(".svg"))


@pytest.mark.parametrize(
    "name", ["../up", "a/b", ".hidden", "latest.json", "", "a b", "-x\n", "x" * 65, "a."]
)
def test_a_release_cannot_have_every_name(name, world):
    world.villages(3, 1)
    with pytest.raises(header.ReleaseNameInvalid):
        world.cut(name)
    assert [p.name for p in world.shelf.folder.glob("*")] == []


def test_a_release_never_changes_under_its_name(world):
    world.villages()
    before = tree(world.cut().folder)
    world.clip(world.speaker(), "這是後來的錄音。")
    with pytest.raises(ReleaseExists):
        world.cut("r1")
    with pytest.raises(ReleaseExists):
        world.cut("R1")
    assert tree(world.shelf.folder / "r1") == before


def test_a_later_release_adds_and_never_moves(world):
    world.villages(speakers=10)
    first = {line.id: line for line in lines(world.cut("r1"))}
    for number in range(6):
        person = world.speaker()
        world.clip(person, f"後來的錄音{'一二三四五六'[number]}。")
    done = world.cut("r2")
    second = {line.id: line for line in lines(done)}
    assert set(first) < set(second)
    assert all(second[name].split == line.split for name, line in first.items())
    assert Counter(line.first_release for line in second.values()) == {"r1": 30, "r2": 6}
    assert done.header.previous.name == "r1"
    added = rows(done.folder / "changes/added.jsonl")
    assert {row["id"] for row in added} == set(second) - set(first)


def test_attributes_of_few_speakers_are_withheld(world):
    world.villages(speakers=8)
    rare = world.speaker(gender="other", dialect="hill")
    world.clip(rare, "山上的話。")
    done = world.cut(privacy_k=3)
    told = {row["speaker_id"]: row for row in rows(done.folder / "speakers.jsonl")}
    assert told[world.people[rare]]["dialect"] is None
    assert all(line.dialect != "hill" for line in lines(done))
    shared = Counter((row["gender"], row["dialect"]) for row in told.values())
    assert min(shared.values()) >= 3


def test_an_empty_project_says_what_is_missing(world):
    world.project()
    world.clip(world.speaker(), words=None)
    with pytest.raises(ReleaseEmpty, match=r"1 excluded\.no_text"):
        world.cut()
    assert list(world.shelf.folder.glob("*/")) == []


@pytest.mark.parametrize("harm", ["missing", "flipped"])
def test_a_damaged_blob_is_named_and_nothing_is_published(harm, world):
    world.villages()
    with reading(world.engine) as db:
        digest = db.execute(sa.select(tables.clip.c.sha256)).scalars().first()
    path = world.store.path(digest)
    data = bytearray(path.read_bytes())
    path.unlink()
    if harm == "flipped":
        data[-3] ^= 1
        path.write_bytes(data)
    with pytest.raises(BlobsDamaged) as error:
        world.cut()
    assert error.value.parameters["sha256"] == digest and error.value.parameters["count"] == 1
    assert [p for p in world.shelf.folder.iterdir() if p.is_dir()] == []
    with reading(world.engine) as db:
        assert db.execute(sa.select(tables.split)).all() == []
    done = world.cut(leave_out_damaged=True)
    assert done.header.counts["clips"] == 23 and done.excluded == {"excluded.damaged": 1}
    assert verify.verify(done.folder, setting="inline").findings == ()


def test_a_text_edited_in_the_database_by_hand_is_left_out(world):
    world.villages()
    with begin(world.engine) as db:
        one = db.execute(sa.select(tables.transcript.c.id)).scalars().first()
        t = tables.transcript
        db.execute(sa.update(t).where(t.c.id == one).values(text="手  改的文字。"))
    done = world.cut()
    assert done.header.counts["clips"] == 23
    assert sum(done.excluded.values()) == 1


def test_a_speaker_in_two_projects_keeps_apart_what_each_consent_covers(world):
    world.villages(3, 2)
    other = world.project("songs", "Songs")
    ann = next(iter(world.people))
    world.speaker(project=other, known=ann)
    world.clip(ann, "另外一個計畫。", project=other)
    done = world.cut()
    assert done.header.counts["clips"] == 6
    songs = cut(world.shelf, Wish("songs", "songs1"))
    assert songs.header.counts["clips"] == 1 and songs.header.previous is None


def test_two_cuts_at_once_both_end_whole(world):
    world.villages()
    results: dict[str, object] = {}

    def run(name: str) -> None:
        try:
            results[name] = world.cut(name)
        except ReleaseExists as error:
            results[name] = error

    threads = [threading.Thread(target=run, args=(name,)) for name in ("r1", "r2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("r1", "r2"):
        assert verify.verify(world.shelf.path(name), setting="inline").findings == ()
    latest = header.parse_latest((world.shelf.folder / "latest.json").read_bytes(), "latest")
    assert {entry.name for entry in latest.releases} == {"r1", "r2"}


def test_a_clip_withdrawn_during_the_cut_is_not_in_it(world, monkeypatch):
    from corpus import build

    world.villages()
    with reading(world.engine) as db:
        victim = db.execute(sa.select(tables.clip.c.id)).scalars().first()
    original, seen = build.build, []

    def build_slowly(*args, **kwargs):
        if not seen:
            world.withdraw(victim)
        seen.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(build, "build", build_slowly)
    done = world.cut()
    assert len(seen) == 2
    assert victim.replace("-", "") not in {line.id.split("-")[1] for line in lines(done)}


KILLED = textwrap.dedent(
    """
    import os, shutil, sys
    from pathlib import Path
    from corpus import keys, release
    from corpus.database import open_engine
    from corpus.draft import Wish
    from corpus.shelf import Shelf
    from corpus.store import LocalStore

    source, scratch, count, limit = Path(sys.argv[1]), Path(sys.argv[2]), 0, 0

    def hook(event, args):
        global count
        writes = event == "open" and isinstance(args[1], str) and "w" in args[1]
        if writes or event in ("os.rename", "os.link", "os.mkdir", "os.remove"):
            count += 1
            if count == limit:
                os._exit(9)

    sys.addaudithook(hook)

    def cut(data, step):
        child = os.fork()
        if child == 0:
            global count, limit
            engine = open_engine(f"sqlite:///{data / 'xiangyin.sqlite'}")
            store, signer = LocalStore(data / "blobs"), keys.signer(data / "keys")
            shelf = Shelf(engine, store, data / "releases", signer, "inline")
            count, limit = 0, step
            try:
                release.cut(shelf, Wish("tales", "r1"))
            except release.ReleaseExists:
                os._exit(3)
            (data / "steps").write_text(str(count))
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def tree(folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    data = scratch / "whole"
    shutil.copytree(source, data)
    assert cut(data, 0) == 0
    expected, steps = tree(data / "releases/r1"), int((data / "steps").read_text())
    for step in range(1, steps + 1, max(1, steps // int(sys.argv[3]))):
        data = scratch / "killed"
        shutil.copytree(source, data)
        assert cut(data, step) == 9, step
        if (data / "releases/r1").exists():
            assert tree(data / "releases/r1") == expected, step
        assert cut(data, 0) in (0, 3), step
        assert tree(data / "releases/r1") == expected, step
        left = {p.name for p in (data / "releases").iterdir()}
        assert left == {"r1", "latest.json", "tombstones.jsonl", ".lock"}, (step, left)
        shutil.rmtree(data)
    print(steps)
    """
)


def test_a_kill_at_any_step_leaves_the_release_whole_or_absent(world, tmp_path, root):
    world.villages(3, 2)
    world.engine.dispose()
    (tmp_path / "scratch").mkdir()
    kills = os.environ.get("XIANGYIN_KILLS", "12")  # a campaign asks for more
    words = [sys.executable, "-c", KILLED, str(world.data), str(tmp_path / "scratch"), kills]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_the_card_answers_what_people_ask(world):
    world.villages()
    card = (world.cut().folder / "README.md").read_text(encoding="utf-8")
    head, body = card.split("---\n", 2)[1:]
    assert "license: cc-by-4.0" in head and "- automatic-speech-recognition" in head
    for asked in (
        "SNR",
        "consent",
        "withdraw",
        "CC-BY-4.0",
        "Speakers",
        "Known limits",
        "Speech by dialect",
        "How to cite",
    ):
        assert asked.lower() in body.lower()


def test_plots_are_well_formed(world):
    from xml.etree import ElementTree

    world.villages()
    for path in (world.cut().folder / "plots").glob("*.svg"):
        assert ElementTree.fromstring(path.read_text(encoding="utf-8")).tag.endswith("svg")


def test_latest_is_small_and_names_the_newest(world):
    world.villages()
    world.cut("r1")
    world.clip(world.speaker(), "後來的錄音。")
    done = world.cut("r2")
    raw = (world.shelf.folder / "latest.json").read_bytes()
    latest = header.parse_latest(raw, "latest")
    assert (latest.name, latest.sha256) == ("r2", done.sha256)
    assert len(raw) < 4096


def test_who_lives_together_stays_together(world):
    world.project()
    home_of = {}
    for number in range(24):
        person = world.speaker(household=f"kinfolk {number // 2}")
        home_of[world.people[person]] = number // 2
        world.clip(
            person, "第一二三四五六七八九十"[number % 10] + f"{'天地玄黃宇宙洪荒日月盈昃'[number // 2]}聲。"
        )
    done = world.cut()
    homes = {}
    for line in lines(done):
        homes.setdefault(home_of[line.speaker_id], set()).add(line.split)
    assert all(len(splits) == 1 for splits in homes.values())
    assert {line.split for line in lines(done)} == {"train", "dev", "test"}
    assert b"kinfolk" not in b"".join(tree(done.folder).values())


def test_a_text_edited_by_hand_is_left_out_even_if_it_passes_the_rules(world):
    world.villages()
    t = tables.transcript
    with begin(world.engine) as db:
        one, two = db.execute(sa.select(t.c.id, t.c.clip_id)).all()[:2]
        db.execute(sa.update(t).where(t.c.id == one.id).values(text="規則都通過的文字。"))
        f = tables.final_text
        db.execute(sa.update(f).where(f.c.clip_id == two.clip_id).values(transcript_id=one.id + 5))
    done = world.cut()
    assert done.excluded == {"excluded.edited": 2}
    with reading(world.engine) as db:
        assert [p.name for p in check.rows(db) if p.code == "TEXT_CHANGED"] == [one.clip_id]


def test_a_device_that_few_speakers_have_is_not_told(world):
    world.villages(speakers=8)
    with begin(world.engine) as db:
        c = tables.clip
        owner = db.execute(sa.select(c.c.person_id)).scalars().first()
        db.execute(sa.update(c).where(c.c.person_id == owner).values(device_class="grandfather's radio"))
    done = world.cut()
    assert Counter(line.device_class for line in lines(done)) == {"headset": 21, None: 3}
    assert b"radio" not in b"".join(tree(done.folder).values())


def test_after_a_withdrawal_no_fewer_than_k_speakers_share_what_is_told(world):
    world.project()
    people = [world.speaker(dialect="hill" if n < 3 else "coast") for n in range(9)]
    clips = [world.clip(person, "天地玄黃宇宙洪荒日"[n] + "聲。") for n, person in enumerate(people)]
    before = world.cut(privacy_k=3)
    assert Counter(line.dialect for line in lines(before)) == {"hill": 3, "coast": 6}
    world.withdraw(clips[0])
    publish.erase(world.shelf, now_ms=5)
    told = Counter(
        (line.dialect, line.gender, line.age_band) for line in manifest.read(before.folder / "manifest.jsonl")
    )
    assert min(told.values()) >= 3 and sum(told.values()) == 8
    assert verify.verify(before.folder, setting="inline").findings == ()


def test_the_room_of_each_session_can_be_made_again(world):
    """For augmentation: once for all clips of a session, and gone with the voice that was recorded in it."""
    world.project()
    people = [world.speaker() for _ in range(3)]
    tone = {"noise_dbfs": -61.23456, "noise_dba_fs": -66.0, "duration_s": 2.0, "method": "xiangyin-3"}
    clips = []
    for number, person in enumerate(people):
        bands = [-70.5 - number - n for n in range(22)] if number < 2 else None
        for turn in range(2):
            words = "天地玄黃宇宙"[2 * number + turn] + "聲。"
            clips.append(world.clip(person, words, meta={"room_tone": {**tone, "third_octaves_dbfs": bands}}))
    done = world.cut()
    told = rows(done.folder / "sessions.jsonl")
    by_speaker = {line.speaker_id: line.session_id for line in lines(done)}
    assert sorted(row["third_octaves_dbfs"][0] for row in told) == [-71.5, -70.5]
    assert {row["speaker_id"]: row["session_id"] for row in told} == {
        name: by_speaker[name] for name in (world.people[person] for person in people[:2])
    }
    assert {row["noise_dbfs"] for row in told} == {-61.235} and len(told) == 2
    for clip in clips[:2]:
        world.withdraw(clip)
    publish.erase(world.shelf, now_ms=5)
    left = rows(done.folder / "sessions.jsonl")
    assert [row["speaker_id"] for row in left] == [world.people[people[1]]]
    assert verify.verify(done.folder, setting="inline").findings == ()


def test_a_text_that_nearly_repeats_a_tested_one_is_left_out_by_name(world):
    from corpus import near

    world.villages(speakers=10)
    first = {line.id: line for line in lines(world.cut("r1"))}
    tested = next(line for line in first.values() if line.split == "test")
    trained = next(line for line in first.values() if line.split == "train")
    person = next(name for name, speaker in world.people.items() if speaker == trained.speaker_id)
    long = "海邊的風吹過古老的街道孩子們在廟前追逐著落葉"
    owner = next(name for name, speaker in world.people.items() if speaker == tested.speaker_id)
    world.clip(owner, long + "。", style="read", prompt=world.prompt(long + "。"))
    world.cut("r2")
    like = long.replace("古老", "古舊")
    assert near.is_near(long, like)
    late = world.clip(person, like + "。", style="read", prompt=world.prompt(like + "。"))
    done = world.cut("r3")
    (row,) = rows(done.folder / "excluded.jsonl")
    assert row["code"] == "excluded.near" and row["id"].endswith(late.replace("-", ""))
    assert any(line.id == row["detail"] and line.split == "test" for line in lines(done))
    assert "excluded.near" in (done.folder / "README.md").read_text(encoding="utf-8")
