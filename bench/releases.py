"""How fast and how small: manifest lines written, checked, split and exported; no sound is made.

    python bench/releases.py [LINES ...]

Each step runs in a process of its own, so that its peak of memory is its own. One JSON object a line.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CLIPS_EACH = 200


def lines(count: int) -> Iterator:
    """Synthetic lines, speaker by speaker."""
    from corpus.manifest import Line, audio_path, seconds

    for number in range(count):
        speaker = f"S{number // CLIPS_EACH:08d}"
        digest = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4
        samples = 16_000 + number * 7919 % 160_000
        yield Line(
            id=f"{speaker}-{number:032x}",
            audio=audio_path(digest),
            sha256=digest,
            pcm_md5=f"{number:032x}",
            bytes=samples,
            samples=samples,
            sample_rate_hz=16_000,
            channels=1,
            duration_s=seconds(samples, 16_000),
            text="今仔日天氣真好，咱做伙去海邊。" + "甲乙丙丁戊己庚辛"[number % 8],
            text_raw="今仔日天氣真好，咱做伙去海邊",
            events=(),
            language="nan-Hant-TW",
            glottocode=None,
            dialect="coast",
            orthography="nan-Hant",
            rules_version="none",
            speaker_id=speaker,
            gender=("female", "male")[number // CLIPS_EACH % 2],
            age_band="30-39",
            region=None,
            native_language="nan",
            session_id=f"s{number // 50:012x}",
            recording_id=f"r{number:012x}",
            channel=0,
            start_sample=0,
            style="monologue",
            prompt_id=None,
            grade=("quiet", "moderate", "noisy")[number % 3],
            snr_db=10 + number % 300 / 10,
            speech_dbfs=-24.5,
            noise_dbfs=-50.25,
            noise_dba=None,
            measure_method="levels-1",
            device_class="headset",
            recorded_on="2026-10-01",
            consent_version="consent-1",
            license="CC-BY-4.0",
            split=("train", "train", "train", "dev", "test")[number // CLIPS_EACH % 5],
            transcribers=2,
            agreement_cer=0.0125,
            first_release="r1",
        )


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


def step_write(folder: Path, count: int) -> None:
    from corpus import manifest

    manifest.write(folder / manifest.FILE_NAME, lines(count))


def step_validate(folder: Path, count: int) -> None:
    """Every field, order, and the proof that nothing stands in two splits."""
    from corpus import manifest
    from corpus.leaks import Proof

    proof = Proof(lambda line: line.text)
    for line in manifest.read(folder / manifest.FILE_NAME):
        proof.feed(line)
    assert not proof.leaks


def step_split(folder: Path, count: int) -> None:
    from corpus import manifest
    from corpus.split import Item, Plan, assign

    known: dict = {}
    items = [
        Item(
            line.id,
            tuple(
                known.setdefault(u, u) for u in (("speaker", line.speaker_id), ("session", line.session_id))
            ),
            (line.dialect, line.gender),
            (line.grade, line.style),
            line.samples // 16,
        )
        for line in manifest.read(folder / manifest.FILE_NAME)
    ]
    started = time.process_time()
    assign(items, {}, Plan())
    print(json.dumps({"assign_cpu_s": round(time.process_time() - started, 3)}), file=sys.stderr)


def step_build(folder: Path, count: int) -> None:
    """Every file of a release but the audio: statistics, card, plots, Parquet, sums."""
    from corpus import build, manifest

    outline = build.Outline(
        name="bench",
        project="bench",
        title="Bench",
        language="nan-Hant-TW",
        orthography="nan-Hant",
        rules_version="none",
        license="CC-BY-4.0",
        consent_text="yes",
        terms_text="none",
        revision=1,
        created_at="2026-01-01T00:00:00.000Z",
        previous=None,
        replaces=None,
        history=(),
        split={"seed": 0.0},
        split_notes=(),
        profiles=(),
        privacy_k=3,
        ledger_head=None,
    )
    target = folder / "built"
    target.mkdir()
    build.build(
        target,
        outline,
        lambda: manifest.read(folder / manifest.FILE_NAME),
        previous_lines=None,
        excluded=[],
        tombstones=[],
        signer=None,
    )


def export(name: str):
    """A step that writes one format."""

    def step(folder: Path, count: int) -> None:
        from corpus import exporters

        exporters.export(copy_of(folder), {name: folder / f"out-{name}"}, root="/data/bench")

    return step


STEPS = {
    "write": step_write,
    "validate": step_validate,
    "split": step_split,
    "build": step_build,
    **{name: export(name) for name in ("kaldi", "lhotse", "nemo")},
}


def run_one(step: str, folder: Path, count: int) -> None:
    """One step in this process; prints its own CPU and memory."""
    import corpus.manifest  # the import is not what is measured  # noqa: F401

    before = time.process_time()
    STEPS[step](folder, count)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {
        "step": step,
        "lines": count,
        "cpu_s": round(time.process_time() - before, 3),
        "peak_mib": round(peak_mib),
    }
    print(json.dumps(row), flush=True)


def main(words: list[str]) -> None:
    """Run every step for each number of lines."""
    if words[:1] == ["--step"]:
        run_one(words[1], Path(words[2]), int(words[3]))
        return
    for count in [int(word) for word in words] or [10_000, 100_000]:
        with tempfile.TemporaryDirectory() as scratch:
            for step in STEPS:
                subprocess.run([sys.executable, __file__, "--step", step, scratch, str(count)], check=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main(sys.argv[1:])
