"""What it costs the server to take one voice out of a release: processor time and memory of `publish.erase`.

    python bench/withdrawal.py [CLIPS [SPEAKERS [ROUNDS]]]

A release of that many clips is cut by the real code from a database of that many speakers; its sounds are
heads of FLAC files. Then one speaker after the other is withdrawn and erased, each in a process of its own,
so that its peak of memory is its own. Last, what a copy fetches of the new revision: every file but sounds.
One JSON object a line; the last has the best round.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_DIALECTS = ("coast", "hill", "river", "plain", "island", "harbour", "valley", "old town")
_AGES = ("18-29", "30-39", "40-49", "50-59", "60+")
_BATCH = 5000


def head_of_flac(samples: int, number: int) -> bytes:
    """What is read of a sound when it is placed: the marker, and STREAMINFO of 16 kHz mono."""
    rate_channels_bits_samples = 16_000 << 44 | 0 << 41 | 15 << 36 | samples
    info = (4096).to_bytes(2, "big") * 2 + bytes(6) + rate_channels_bits_samples.to_bytes(8, "big")
    md5 = hashlib.md5(number.to_bytes(8, "big"), usedforsecurity=False)
    return b"fLaC" + bytes((0x80, 0, 0, 34)) + info + md5.digest()


def prepare(folder: Path, clips: int, speakers: int) -> None:
    """A database, a store and a release of it; not measured."""
    import releases
    import sqlalchemy as sa

    from corpus import release, tables
    from corpus.database import begin
    from corpus.draft import Wish

    releases.CLIPS_EACH = clips // speakers
    releases.fill(folder, clips)
    on = shelf(folder)
    clip, person = tables.clip, tables.person
    places = sa.update(clip).where(clip.c.id == sa.bindparam("name"))
    told = sa.update(person).where(person.c.id == sa.bindparam("name"))
    with begin(on.engine) as db:
        rows = db.execute(sa.select(clip.c.id, clip.c.samples).order_by(clip.c.received_ms)).all()
        for start in range(0, clips, _BATCH):
            some = range(start, min(start + _BATCH, clips))
            db.execute(places, [_placed(folder, number, *rows[number]) for number in some])
        db.execute(told, [{"name": f"p{who}", "attributes": _attributes(who)} for who in range(speakers)])
    started = time.process_time()
    release.cut(on, Wish("bench", "r1"))
    say(step="cut", clips=clips, cpu_s=_cpu_s(started), peak_mib=_peak_mib())


def _placed(folder: Path, number: int, name: str, samples: int) -> dict[str, object]:
    """A sound in the store, and what its clip's row says of it."""
    data = head_of_flac(samples, number)
    digest = hashlib.sha256(data).hexdigest()
    path = folder / "blobs" / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {
        "name": name,
        "sha256": digest,
        "upload_sha256": digest,
        "bytes": len(data),
        "pcm_md5": data[-16:].hex(),
    }


def _attributes(who: int) -> dict[str, str]:
    return {
        "gender": ("female", "male")[who % 2],
        "dialect": _DIALECTS[who // 2 % len(_DIALECTS)],
        "age_band": _AGES[who // 16 % len(_AGES)],
    }


def withdraw(folder: Path, who: int) -> None:
    """Take one speaker out, as a withdrawal does once its rows are written."""
    import sqlalchemy as sa

    from corpus import publish, tables
    from corpus.database import begin

    on, now_ms = shelf(folder), time.time_ns() // 1_000_000
    with begin(on.engine) as db:
        gone = sa.update(tables.clip).where(tables.clip.c.person_id == f"p{who}")
        db.execute(gone.values(state="withdrawn", withdrawn_ms=now_ms))
    started, wall = time.process_time(), time.monotonic()
    done = publish.erase(on, now_ms=now_ms)
    took = {"cpu_s": _cpu_s(started), "wall_s": round(time.monotonic() - wall, 2), "peak_mib": _peak_mib()}
    say(step="withdraw", speaker=who, erased=sum(one.clips for one in done), **took)


def fetched(folder: Path, clips: int) -> None:
    """What a copy fetches anew, in bytes a clip."""
    from corpus import header

    files = header.read(folder / "releases" / "r1")[0].files
    large = {name: round(entry.bytes / clips) for name, entry in files.items() if entry.bytes > clips}
    say(step="fetch", bytes_a_clip=round(sum(entry.bytes for entry in files.values()) / clips), of_it=large)


def shelf(folder: Path):
    """The releases of the folder; nothing runs beside this process, so that its time is all there is."""
    from corpus import keys
    from corpus.database import open_engine
    from corpus.shelf import Shelf
    from corpus.store import LocalStore

    engine = open_engine(f"sqlite:///{folder / 'xiangyin.sqlite'}")
    store, signer = LocalStore(folder / "blobs"), keys.signer(folder / "keys")
    return Shelf(engine, store, folder / "releases", signer, "inline")


def say(**row: object) -> None:
    """One result."""
    print(json.dumps(row), flush=True)


def _cpu_s(started: float) -> float:
    return round(time.process_time() - started, 3)


def _peak_mib() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _told(*words: object) -> Iterator[dict]:
    """What a step of this script prints, passed on."""
    done = subprocess.run(
        [sys.executable, __file__, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True
    )
    for line in done.stdout.splitlines():
        print(line, flush=True)
        yield json.loads(line)


def main(words: list[str]) -> None:
    """Cut, then withdraw and erase as often as wanted."""
    if words[:1] == ["--prepare"]:
        prepare(Path(words[1]), int(words[2]), int(words[3]))
        return
    if words[:1] == ["--fetched"]:
        fetched(Path(words[1]), int(words[2]))
        return
    if words[:1] == ["--withdraw"]:
        withdraw(Path(words[1]), int(words[2]))
        return
    clips, speakers, rounds = (*map(int, words), *(100_000, 5_000, 5)[len(words) :])
    with tempfile.TemporaryDirectory(dir=os.environ.get("XIANGYIN_BENCH_FOLDER")) as scratch:
        list(_told("--prepare", scratch, clips, speakers))
        found = [
            row
            for turn in range(rounds)
            for row in _told("--withdraw", scratch, (2 * turn + 1) * speakers // (2 * rounds))
        ]
        list(_told("--fetched", scratch, clips))
    best = min(found, key=lambda row: row["cpu_s"])
    say(clips=clips, speakers=speakers, cpu_s=best["cpu_s"], peak_mib=max(row["peak_mib"] for row in found))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main(sys.argv[1:])
