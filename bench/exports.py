"""What exporting a release costs: text formats of many lines, and sound into shards beside SHA-256 of it.

    python bench/exports.py [LINES ...] [--sound MIB]

Each step runs in a process of its own, so that its peak of memory is its own; one JSON object a line.
Figures are CPU seconds, the least of the rounds. Peers are measured where `make toolkits` put them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLKITS = ROOT / ".venv-toolkits/bin/python"
ROUNDS = 3
CLIPS_IN_A_RECORDING = 20
SOUNDS = 1000  # files that the text formats' lines share, so that each line's file is looked at
TEXT = (
    *("kaldi", "espnet", "lhotse", "nemo", "wenet", "speechbrain"),
    *("stm", "rttm", "ctm"),
)
DOCUMENTS = ("textgrid", "eaf")  # a file for each recording: most of their cost is the file system's
PLACED = ("hf", "common-voice")
SHARDED = ("webdataset", "wenet-shards", "nemo-tarred", "shar", "hf-parquet")


def copy_of(folder: Path):
    """The bench folder as a release; the header counts nothing that the exporters look at."""
    from corpus.dataset import Copy
    from corpus.header import Audio, Header

    head = Header(
        name="bench",
        project="bench",
        title="Bench",
        revision=1,
        schema_version=1,
        created_at="",
        previous=None,
        replaces=None,
        status="published",
        language="nan-Hant-TW",
        orthography="nan-Hant",
        rules_version="none",
        licenses=("CC-BY-4.0",),
        counts={},
        hours={},
        split={},
        split_notes=(),
        profiles=(),
        privacy_k=3,
        audio=Audio(0, 0, 0),
        files={},
        ledger_head=None,
        made_with={},
    )
    return Copy(folder, head, "", None)


def many_lines(count: int) -> Iterator:
    """Lines of long recordings that were cut at pauses; their sounds are few and empty."""
    import msgspec
    import releases

    from corpus.manifest import audio_path

    for number, line in enumerate(releases.lines(count)):
        digest = hashlib.sha256(b"%d" % (number % SOUNDS)).hexdigest()
        yield msgspec.structs.replace(
            line,
            sha256=digest,
            audio=audio_path(digest),
            bytes=40_000 + number % SOUNDS,
            recording_id=f"r{number // CLIPS_IN_A_RECORDING:012x}",
            session_id=f"s{number // 200:012x}",
            start_sample=number % CLIPS_IN_A_RECORDING * 176_000,
        )


def make_text(folder: Path, count: int) -> None:
    """A manifest, and sounds of the right sizes that take no room."""
    from corpus import manifest

    for number in range(SOUNDS):
        digest = hashlib.sha256(b"%d" % number).hexdigest()
        path = folder / manifest.audio_path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(40_000 + number)
    manifest.write(folder / manifest.FILE_NAME, many_lines(count))


def make_sound(folder: Path, mib: int) -> None:
    """Clips of 5 s in FLAC, all different, and their manifest."""
    import msgspec
    import numpy as np
    import releases
    import soundfile

    from corpus import manifest, streaminfo

    rng = np.random.default_rng(1)
    size, made = 0, []
    for line in releases.lines(mib * 20):
        if size >= mib << 20:
            break
        noise = rng.standard_normal(80_000)
        samples = (np.convolve(noise, np.ones(4) / 4, "same") * 3000).astype(np.int16)
        part = folder / "part.flac"
        soundfile.write(part, samples, 16_000, format="FLAC", subtype="PCM_16")
        data = part.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        path = folder / manifest.audio_path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        part.rename(path)
        info = streaminfo.parse(data)
        assert info is not None
        fields = {"sha256": digest, "audio": manifest.audio_path(digest), "pcm_md5": info.pcm_md5}
        counts = {"bytes": len(data), "samples": info.samples, "duration_s": 5.0}
        made.append(msgspec.structs.replace(line, **fields, **counts))
        size += len(data)
    manifest.write(folder / manifest.FILE_NAME, made)


def export(*names: str) -> Callable[[Path, Path], None]:
    """A step that writes these formats together."""

    def step(folder: Path, to: Path) -> None:

        from corpus import exporters

        exporters.export(copy_of(folder), {name: to / name for name in names})

    return step


def digests(folder: Path, to: Path) -> None:
    """SHA-256 of every sound and nothing else."""
    from corpus import manifest

    for line in manifest.read(folder / manifest.FILE_NAME):
        data = (folder / line.audio).read_bytes()
        assert hashlib.sha256(data).hexdigest() == line.sha256


def one_digest(folder: Path, to: Path) -> None:
    """SHA-256 of as many bytes that lie in memory: the limit."""
    block = bytes(1 << 20)
    for _ in range(sound_bytes(folder) >> 20):
        hashlib.sha256(block).digest()


def read_manifest(folder: Path, to: Path) -> None:
    """Reading and checking the lines, which every export does once."""
    from corpus import manifest

    for _ in manifest.read(folder / manifest.FILE_NAME):
        pass


def sound_bytes(folder: Path) -> int:
    """The bytes of all sounds."""
    return sum(path.stat().st_size for path in (folder / "audio").rglob("*.flac"))


STEPS: dict[str, Callable[[Path, Path], None]] = {
    "read": read_manifest,
    "sha256": digests,
    "sha256 in memory": one_digest,
    "text together": export(*TEXT),
    **{name: export(name) for name in (*TEXT, *DOCUMENTS, *PLACED, *SHARDED)},
}
PEERS = {
    "lhotse to_shar": """
import sys; from lhotse import CutSet
cuts = CutSet.from_file(sys.argv[1] + "/lhotse/cuts_train.jsonl.gz"); __import__("os").mkdir(sys.argv[2])
cuts.to_shar(sys.argv[2], fields={"recording": "flac"})
""",
    "webdataset ShardWriter": """
import gzip, json, sys; from pathlib import Path; import webdataset as wds
Path(sys.argv[2]).mkdir()
with wds.ShardWriter(sys.argv[2] + "/%06d.tar", maxcount=10**9, maxsize=512 << 20, verbose=0) as out:
    for row in map(json.loads, gzip.open(sys.argv[1] + "/lhotse/cuts_train.jsonl.gz")):
        data = Path(row["recording"]["sources"][0]["source"]).read_bytes()
        out.write({"__key__": row["id"], "flac": data, "json": row["supervisions"][0]})
""",
}


def run_one(step: str, folder: Path) -> None:
    """One step in this process, with what it cost."""
    for module in ("corpus.exporters", "pyarrow.parquet"):
        importlib.import_module(module)  # imports are not what is measured

    with tempfile.TemporaryDirectory(dir=folder) as to:
        before = time.process_time()
        STEPS[step](folder, Path(to))
        cpu_s = time.process_time() - before
    print(json.dumps({"cpu_s": cpu_s, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def measure(step: str, folder: Path, rounds: int = ROUNDS) -> dict[str, float]:
    """The least of some rounds."""
    found = []
    for _ in range(rounds):
        command = [sys.executable, __file__, "--step", step, str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    return {name: min(one[name] for one in found) for name in found[0]}


def peer(script: str, folder: Path) -> float | None:
    """CPU seconds of a peer, without its imports' own."""
    found = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=folder) as to:
            head, body = script.strip().split("\n", 1)
            clock = "import time; start = time.process_time()"
            code = f"{head}\n{clock}\n{body}\nprint(time.process_time() - start)"
            done = subprocess.run(
                [str(TOOLKITS), "-W", "ignore", "-c", code, str(folder), f"{to}/out"],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                return None
            found.append(float(done.stdout.split()[-1]))
    return min(found)


def tell(**row: object) -> None:
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
    print(json.dumps(rounded), flush=True)


def text_formats(count: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_text(folder, count)
        rounds = ROUNDS if count <= 100_000 else 1
        for step in ("read", *TEXT, "text together", *DOCUMENTS):
            tell(step=step, lines=count, **measure(step, folder, rounds))
        if count <= 100_000:
            for step in PLACED:
                tell(step=step, lines=count, **measure(step, folder, 1))


def sound(mib: int) -> None:

    from corpus import exporters

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_sound(folder, mib)
        size_mib = sound_bytes(folder) / (1 << 20)
        exporters.export(copy_of(folder), {"lhotse": folder / "lhotse"})
        clips = sum(1 for _ in (folder / "audio").rglob("*.flac"))
        limit_s = measure("sha256 in memory", folder)["cpu_s"]
        for step in ("sha256 in memory", "sha256", *SHARDED):
            cost = measure(step, folder)
            figures = {
                "mib_per_cpu_s": size_mib / cost["cpu_s"],
                "of_sha256": limit_s / cost["cpu_s"],
                "times_real_time": clips * 5 / cost["cpu_s"],
            }
            tell(step=step, mib=size_mib, clips=clips, **cost, **figures)
        for name, script in PEERS.items():
            cpu_s = peer(script, folder) if TOOLKITS.exists() else None
            if cpu_s is not None:
                tell(step=name, mib=size_mib, cpu_s=cpu_s, mib_per_cpu_s=size_mib / cpu_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--sound", type=int, default=256, help="MiB of sound for the shards")
    parser.add_argument("--step", nargs=2)
    args = parser.parse_args()
    if args.step:
        run_one(args.step[0], Path(args.step[1]))
        return
    for count in args.lines:
        text_formats(count)
    sound(args.sound)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
    main()
