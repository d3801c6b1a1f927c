"""The next revision of a release, without a voice: what a cut without it would be, around the same sounds."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus import header, manifest, privacy, publish, statistics, tables, verify
from corpus.database import begin
from corpus.header import ReleaseInvalid
from corpus.remaining import without
from tests.release.trees import tree

NOW_MS = 1_900_000_000_000
OF_ITS_OWN = ("release.json", "release.note", "README.md", "CHANGELOG.md", "croissant.json", "SHA256SUMS")


def voices(world) -> list[str]:
    return [name for name, speaker_id in world.people.items() if speaker_id]


def clips_of(world, person: str) -> list[str]:
    c = tables.clip.c
    with begin(world.engine) as db:
        return list(db.execute(sa.select(c.id).where(c.person_id == person).order_by(c.id)).scalars())


def withdraw_person(world, person: str) -> None:
    for clip_id in clips_of(world, person):
        world.withdraw(clip_id)


def test_a_revision_has_the_bytes_of_a_cut_of_the_same_lines(world):
    """So that whoever rebuilds a release from its lines can tell that nothing else was changed in it."""
    world.villages(speakers=10)
    tone = {"noise_dbfs": -61.0, "noise_dba_fs": -66.0, "duration_s": 2.0, "method": "xiangyin-3"}
    tone |= {"third_octaves_dbfs": [-70.0] * 22}
    for person, words in zip(voices(world), ("海邊的風很大。", "山上的路很長。"), strict=False):
        world.clip(person, words, meta={"room_tone": tone})
    world.cut("r1")
    withdraw_person(world, voices(world)[1])
    world.withdraw(clips_of(world, voices(world)[4])[0])
    (erased,) = publish.erase(world.shelf, now_ms=NOW_MS)
    assert (erased.revision, erased.clips) == (2, 5)
    again = world.cut("r2")
    revision, anew = tree(world.shelf.path("r1")), tree(again.folder)
    for name in revision:
        if name not in OF_ITS_OWN and not name.startswith("changes/"):
            assert revision[name] == anew[name], name
    assert revision.keys() == anew.keys()
    assert (again.folder / "changes/added.jsonl").read_bytes() == b""  # nor is anything changed between them
    assert (again.folder / "changes/changed.jsonl").read_bytes() == b""
    assert verify.verify(world.shelf.path("r1"), setting="inline").findings == ()


def test_the_sounds_that_stay_are_the_same_files(cut_world):
    """A withdrawal copies and links none of them, however many there are."""
    folder = cut_world.shelf.path("r1")
    before = {path.name: path.stat().st_ino for path in folder.glob("audio/*/*")}
    clip_id, digest = cut_world.first_clip()
    cut_world.withdraw(clip_id)
    publish.erase(cut_world.shelf, now_ms=NOW_MS)
    after = {path.name: path.stat().st_ino for path in folder.glob("audio/*/*")}
    assert before.pop(f"{digest}.flac") and after == before
    assert all(any(parent.iterdir()) for parent in folder.glob("audio/*"))


def test_a_sound_that_is_missing_keeps_no_voice_in(cut_world):
    """A damaged disk is another trouble, which `fsck` tells of; whoever withdraws must not wait for it."""
    folder = cut_world.shelf.path("r1")
    clip_id, digest = cut_world.first_clip()
    missing = next(path for path in sorted(folder.glob("audio/*/*")) if path.stem != digest)
    missing.unlink()
    cut_world.withdraw(clip_id)
    publish.erase(cut_world.shelf, now_ms=NOW_MS)
    findings = verify.verify(folder, setting="inline").findings
    assert [one.file for one in findings] == [missing.relative_to(folder).as_posix()]


def test_lines_that_the_header_does_not_vouch_for_are_not_signed_again(cut_world):
    """They might be changed in a way that every rule allows, such as a word."""
    folder = cut_world.shelf.path("r1")
    path = folder / "manifest.jsonl"
    path.write_bytes(path.read_bytes().replace("天氣真好".encode(), "天氣真壞".encode(), 1))
    before = tree(cut_world.shelf.folder)
    clip_id, digest = cut_world.first_clip()
    cut_world.withdraw(clip_id)
    with pytest.raises(ReleaseInvalid, match=r"manifest\.jsonl"):
        publish.erase(cut_world.shelf, now_ms=NOW_MS)
    kept = {name.removeprefix("r1/"): data for name, data in before.items() if name.startswith("r1/")}
    assert kept.pop(manifest.audio_path(digest)), "the voice itself goes whatever the lines are"
    assert tree(folder) == kept


def test_a_damaged_release_keeps_the_voice_in_no_other(world):
    """The good neighbour is rebuilt, and the damaged one is told of."""
    world.villages()
    world.cut("r1")
    world.cut("r2")
    path = world.shelf.path("r2") / "manifest.jsonl"
    path.write_bytes(path.read_bytes() + b"x")
    clip_id, digest = world.first_clip()
    world.withdraw(clip_id)
    with pytest.raises(ReleaseInvalid, match=r"r2"):
        publish.erase(world.shelf, now_ms=NOW_MS)
    assert not list(world.shelf.folder.glob(f"*/{manifest.audio_path(digest)}"))
    assert header.read(world.shelf.path("r1"))[0].revision == 2
    assert verify.verify(world.shelf.path("r1"), setting="inline").findings == ()


def test_a_later_release_tells_what_changed_against_the_one_before_as_it_now_is(world):
    """Each release of a project that holds the voice is rebuilt, the oldest first."""
    world.villages()
    world.cut("r1")
    world.clip(voices(world)[0], "後來的錄音。")
    world.cut("r2")
    withdraw_person(world, voices(world)[1])
    erased = publish.erase(world.shelf, now_ms=NOW_MS)
    assert [(one.name, one.revision, one.clips) for one in erased] == [("r1", 2, 3), ("r2", 2, 3)]
    changes = {
        name: (world.shelf.path("r2") / f"changes/{name}.jsonl").read_bytes().count(b"\n")
        for name in ("added", "changed", "withdrawn")
    }
    assert changes == {"added": 1, "changed": 0, "withdrawn": 3}
    for name in ("r1", "r2"):
        assert verify.verify(world.shelf.path(name), setting="inline").findings == ()


def test_a_device_that_few_of_those_left_have_is_told_no_more(world):
    world.project()
    people = [world.speaker() for _ in range(6)]
    clips = [world.clip(person, "天地玄黃宇宙"[n] + "聲。") for n, person in enumerate(people)]
    with begin(world.engine) as db:
        c = tables.clip.c
        db.execute(sa.update(tables.clip).where(c.id.in_(clips[:3])).values(device_class="old radio"))
    done = world.cut(privacy_k=3)
    world.withdraw(clips[0])
    publish.erase(world.shelf, now_ms=NOW_MS)
    lines = list(manifest.read(done.folder / "manifest.jsonl"))
    assert Counter(line.device_class for line in lines) == {None: 2, "headset": 3}
    assert b"radio" not in b"".join(tree(done.folder).values())


TOLD = st.sampled_from([None, "a", "b"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_what_remains_is_what_was_there_but_for_what_may_not_be_told(a_line, data):
    voices = data.draw(st.lists(st.tuples(TOLD, TOLD, TOLD), min_size=1, max_size=9))
    lines = [
        a_line(
            10 * voice + turn,
            speaker_id=f"S{voice:08d}",
            gender=told[0],
            dialect=told[1],
            device_class=data.draw(TOLD) if turn else told[2],
        )
        for voice, told in enumerate(voices, start=1)
        for turn in range(2)
    ]
    gone = set(data.draw(st.lists(st.sampled_from([line.id for line in lines]), unique=True)))
    k = data.draw(st.integers(1, 4))
    with tempfile.TemporaryDirectory() as scratch:
        manifest.write(Path(scratch, "m"), lines)
        rows = list(without(Path(scratch, "m"), gone, k))
    assert [raw for raw, _ in rows] == [manifest.encode(line) + b"\n" for _, line in rows]
    left = [line for line in lines if line.id not in gone]
    told = privacy.withheld(
        {line.speaker_id: tuple(getattr(line, name) for name in privacy.ATTRIBUTES) for line in left}, k
    )
    users = defaultdict(set)
    for line in left:
        users[line.device_class].add(line.speaker_id)
    expected = [
        msgspec.structs.replace(
            line,
            **dict(zip(privacy.ATTRIBUTES, told[line.speaker_id], strict=True)),
            device_class=line.device_class if len(users[line.device_class]) >= k else None,
        )
        for line in left
    ]
    assert [line for _, line in rows] == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_what_is_counted_by_kind_is_what_counting_each_line_gives(a_line, data):
    """Sums of a card are made of sums; a recount of the lines, one question at a time, must agree."""
    some = st.sampled_from
    lines = [
        a_line(
            100 * voice + turn,
            speaker_id=f"S{voice:08d}",
            split=split,
            dialect=data.draw(TOLD),
            grade=data.draw(some(["quiet", "moderate", "noisy"])),
            style=data.draw(some(["read", "monologue"])),
            snr_db=data.draw(some([-7.5, -5.0, -0.0, 4.999, 5.0, 31.25])),
            samples=data.draw(st.integers(1, 40 * 16_000)),
            device_class=data.draw(TOLD),
            consent_version=data.draw(some(["consent-1", "consent-2"])),
            transcribers=data.draw(st.integers(1, 3)),
        )
        for voice, split in enumerate(data.draw(st.lists(some(manifest.SPLITS), max_size=4)), start=1)
        for turn in range(data.draw(st.integers(1, 5)))
    ]
    stats = statistics.gather(lines)
    ms = [line.samples * 1000 // 16_000 for line in lines]

    def sums(key):
        found = Counter()
        for line, length_ms in zip(lines, ms, strict=True):
            found[key(line)] += length_ms
        return found

    assert (stats.clips, stats.ms) == (len(lines), sum(ms))
    assert stats.ms_by_split == sums(lambda line: line.split)
    assert stats.ms_by_speaker == sums(lambda line: line.speaker_id)
    assert stats.clips_by_speaker == Counter(line.speaker_id for line in lines)
    assert stats.ms_by["grade"] == sums(lambda line: (line.grade, line.split))
    assert stats.ms_by["dialect"] == sums(lambda line: (line.dialect or "withheld", line.split))
    assert stats.consents == Counter((line.consent_version, line.license) for line in lines)
    assert stats.seen["transcribers"] == Counter(str(line.transcribers) for line in lines)
    assert stats.seen["device_class"] == Counter(line.device_class or "not told" for line in lines)
    of_level = Counter((line.grade, int(line.snr_db // 5 * 5)) for line in lines)
    assert {(grade, low): n for grade, bins in stats.snr.items() for low, n in bins.items()} == of_level
    assert stats.durations == Counter(min(line.samples // 16_000 // 2 * 2, 30) for line in lines)
