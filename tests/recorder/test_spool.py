"""A take survives a crash at any moment: there is one copy or more, in order, each sample once."""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.clip import ClipId, ClipMeta, Sha256
from recorder.durable import DiskFull
from recorder.spool import Gap, Spool, SpoolDamaged
from recorder.takes import OpenTake, digest_of

RATE_HZ = 16_000
MEASURED = {"snr_db": 20.0}
VERDICT = {"decision": "accept", "grade": "quiet", "findings": [], "profile_id": "p", "profile_version": "1"}

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork to kill")


def counted(start: int, samples: int) -> np.ndarray:
    """Samples that say their own position, so that a lost, doubled or moved one shows."""
    return (np.arange(start, start + samples) % 32_749 - 16_000).astype(np.int16)


def open_spool(folder: Path) -> Spool:
    return Spool(folder / "spool", folder / "receipts", new_id=lambda: ClipId(str(uuid.uuid4())))


def commit(spool: Spool, take: OpenTake):
    return spool.commit(take, take.meta, MEASURED, VERDICT)


def recorded(spool: Spool) -> list[tuple[int, np.ndarray]]:
    """(start sample, samples) of each finished take, in order."""
    found = []
    for take in spool.takes():
        take.check()
        samples, rate_hz = soundfile.read(take.flac, dtype="int16")
        assert (rate_hz, samples.size) == (RATE_HZ, take.samples)
        found.append((take.meta.start_sample, samples))
    return sorted(found, key=lambda pair: pair[0])


def test_a_take_comes_back_as_it_was_recorded(spool, meta):
    take = spool.open_take(meta, RATE_HZ, "m")
    for block in np.split(counted(0, 40_000), 100):
        take.append(block)
    done = commit(spool, take)
    assert [path.name for path in sorted(done.folder.iterdir())] == ["take.flac", "take.json"]
    assert spool.takes() == [done]
    assert done.sha256 == digest_of(done.flac)
    ((start, samples),) = recorded(spool)
    assert start == 0 and np.array_equal(samples, counted(0, 40_000))
    assert soundfile.info(done.flac).subtype == "PCM_16"


def test_what_was_appended_is_in_the_file_at_once(spool, meta):
    take = spool.open_take(meta, RATE_HZ, "m")
    take.append(counted(0, 123))
    assert (take.folder / "take.pcm").stat().st_size == 246


def test_a_cut_moves_the_tail_and_its_gaps(spool, meta):
    take = spool.open_take(meta, RATE_HZ, "m")
    take.append(counted(0, 1000))
    take.note_gap(Gap(100, 7, "dropped"))
    take.note_gap(Gap(700, 5, "late"))
    after = spool.split(take, 600)
    after.append(counted(1000, 50))
    first, second = commit(spool, take), commit(spool, after)
    assert [(s, x.tolist()) for s, x in recorded(spool)] == [
        (0, counted(0, 600).tolist()),
        (600, counted(600, 450).tolist()),
    ]
    assert first.gaps == (Gap(100, 7, "dropped"),) and first.meta.lost_samples == 7
    assert second.gaps == (Gap(100, 5, "late"),) and second.meta.lost_samples == 5


def test_gaps_outlive_a_crash(spool, meta):
    take = spool.open_take(meta, RATE_HZ, "m")
    take.append(counted(0, 500))
    take.note_gap(Gap(300, 11, "late"))
    take.close()
    spool.recover(lambda t: commit(spool, t))
    (done,) = spool.takes()
    assert done.recovered and done.gaps == (Gap(300, 11, "late"),)


def test_half_a_sample_at_the_end_is_dropped(spool, meta):
    take = spool.open_take(meta, RATE_HZ, "m")
    take.append(counted(0, 500))
    take.close()
    with (take.folder / "take.pcm").open("ab") as file:
        file.write(b"\x01")
    spool.recover(lambda t: commit(spool, t))
    assert recorded(spool)[0][1].size == 500


def test_a_take_that_lives_in_another_process_is_left_to_it(spool, meta, tmp_path):
    take = spool.open_take(meta, RATE_HZ, "m")
    take.append(counted(0, 500))
    other = Spool(spool.folder, spool.receipts, new_id=lambda: pytest.fail("makes none"))
    assert other.recover(lambda t: pytest.fail("takes it away")).takes == 0
    take.append(counted(500, 10))
    assert commit(spool, take).samples == 510


def test_an_empty_open_take_leaves_nothing(spool, meta):
    spool.open_take(meta, RATE_HZ, "m").close()
    assert spool.recover(lambda t: pytest.fail("nothing is in it")).takes == 0
    assert not list(spool.folder.glob("*.part")) and spool.takes() == []


def test_a_damaged_take_is_named_and_the_others_go_on(spool, meta):
    bad, good = spool.open_take(meta, RATE_HZ, "m"), spool.open_take(meta, RATE_HZ, "m")
    for take in (bad, good):
        take.append(counted(0, 500))
    broken, kept = commit(spool, bad), commit(spool, good)
    (broken.folder / "take.json").write_text("{")
    assert spool.takes() == [kept]
    (error,) = spool.damaged()
    assert broken.folder.name in str(error) and error.code == "SPOOL_DAMAGED"


def test_changed_sound_is_noticed(spool, meta):
    take = spool.open_take(meta, RATE_HZ, "m")
    take.append(counted(0, 5000))
    done = commit(spool, take)
    raw = bytearray(done.flac.read_bytes())
    raw[-20] ^= 1
    done.flac.write_bytes(raw)
    with pytest.raises(SpoolDamaged, match="SHA-256"):
        done.check()


def test_only_a_receipt_for_this_sound_lets_a_take_go(spool, meta):
    take = spool.open_take(meta, RATE_HZ, "m")
    take.append(counted(0, 500))
    done = commit(spool, take)
    with pytest.raises(SpoolDamaged):
        spool.forget(done, {}, clip_id=done.clip_id, sha256=Sha256("0" * 64))
    assert spool.takes() == [done] and spool.receipt_files() == []
    spool.forget(done, {"proof": "…"}, clip_id=done.clip_id, sha256=done.sha256)
    assert spool.takes() == []
    (path,) = spool.receipt_files()
    assert json.loads(path.read_text(encoding="utf-8")) == {"proof": "…"}


def test_a_full_disk_has_a_name_and_loses_nothing_synced(spool, meta):
    """The limit on file size fails a write as a full disk does, half way."""
    resource = pytest.importorskip("resource")
    take = spool.open_take(meta, RATE_HZ, "m")
    take.append(counted(0, 1000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, before[1]))
        with pytest.raises((DiskFull, OSError)):
            for _ in range(3):
                take.append(counted(1000, 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    take.close()
    spool.recover(lambda t: commit(spool, t))
    assert np.array_equal(recorded(spool)[0][1][:1000], counted(0, 1000))


# --- killed between any two steps --------------------------------------------------------------------


def killed_after(steps: int, work, folder: Path) -> bytes | None:
    """Run `work(report)` in a child that SIGKILL ends before its `steps`-th change to the folder.

    Returns what was reported until then, or None if the work ended before.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        left = [steps]

        def hook(event: str, args: tuple) -> None:
            changes = event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if (changes or writes) and str(folder) in str(args[0]):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            work(lambda data: os.write(writer, data))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return said
    assert os.WEXITSTATUS(status) == 0, "the work failed by itself"
    return None


def kill_everywhere(work, make_folder, check) -> int:
    for steps in range(1000):
        folder = make_folder(steps)
        said = killed_after(steps, lambda report, f=folder: work(f, report), folder)
        check(folder, said)
        if said is None:
            return steps
    raise AssertionError("never ended")


@needs_fork
def test_killed_while_recording_and_cutting_every_sample_is_there_once(tmp_path, meta):
    def work(folder, report):
        spool = open_spool(folder)
        take = spool.open_take(meta, RATE_HZ, "m")
        at = 0
        for number in range(6):
            take.append(counted(at, 4000))
            at += 4000
            report(struct.pack("<q", at))
            if number % 2:
                after = spool.split(take, at - 1500)
                commit(spool, take)
                take = after
        commit(spool, take)

    def check(folder, said):
        spool = open_spool(folder)
        spool.recover(lambda take: commit(spool, take) and None)
        acknowledged = struct.unpack("<q", said[-8:])[0] if said else (0 if said is not None else 24_000)
        takes = recorded(spool)
        at = 0
        for start, samples in takes:
            assert start == at, "a hole or an overlap"
            assert np.array_equal(samples, counted(at, samples.size))
            at += samples.size
        assert at >= acknowledged
        assert not [p for p in spool.folder.iterdir() if "." in p.name.lstrip(".") and p.is_dir()]

    assert kill_everywhere(work, lambda n: tmp_path / str(n), check) > 20


@needs_fork
def test_killed_while_forgetting_take_or_receipt_is_there(tmp_path, meta):
    def make(number):
        folder = tmp_path / str(number)
        spool = open_spool(folder)
        take = spool.open_take(meta, RATE_HZ, "m")
        take.append(counted(0, 3000))
        commit(spool, take)
        return folder

    def work(folder, report):
        spool = open_spool(folder)
        (take,) = spool.takes()
        spool.forget(take, {"seq": 1}, clip_id=take.clip_id, sha256=take.sha256)

    def check(folder, said):
        spool = open_spool(folder)
        spool.recover(lambda take: pytest.fail("a finished take is not open"))
        receipts = [json.loads(p.read_text()) for p in spool.receipt_files()]
        assert spool.damaged() == []
        assert len(spool.takes()) == 1 or receipts == [{"seq": 1}]

    assert kill_everywhere(work, make, check) > 4


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=8), st.data())
@settings(max_examples=20, deadline=None)
def test_any_blocks_and_cuts_give_the_same_samples(tmp_path_factory, meta_for_properties, sizes, data):
    spool = open_spool(tmp_path_factory.mktemp("spool"))
    take = spool.open_take(meta_for_properties, RATE_HZ, "m")
    at = 0
    for size in sizes:
        take.append(counted(at, size))
        at += size
        if data.draw(st.booleans()):
            place = data.draw(st.integers(take.meta.start_sample + 1, at))
            after = spool.split(take, place)
            commit(spool, take)
            take = after
    if take.samples:
        commit(spool, take)
    together = np.concatenate([samples for _, samples in recorded(spool)])
    assert np.array_equal(together, counted(0, at))


@pytest.fixture(scope="session")
def meta_for_properties():
    return ClipMeta("ses-1", "rec-1", "monologue", "moderate", "consent-1", "2026-01-31T08:00:00Z")
