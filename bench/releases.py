"""How fast and how small: lines selected, split, built, checked, filtered and loaded; no sound is made.

    python bench/releases.py [LINES ...]

Ours beside lhotse, Hugging Face datasets, orjson, polars and DuckDB on the same lines, in one run. Each step
runs in a process of its own, so that its peak of memory is its own, and only its processor time counts. Peers
live in `.venv-toolkits` and where XIANGYIN_TOOLKITS_PYTHON says (several, joined by colons); each is measured
in the first that has it, and one that is nowhere is named. One JSON object a line, and a table at the end.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

CLIPS_EACH = 200
EVERYDAY = (
    "天地人日月山水火木金土風雨雲花草樹鳥魚馬牛羊門窗車船路橋城村"
    "海河湖田家父母老小大高長新好多少來去見說話寫讀走"
)


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


def step_write(folder: Path, count: int) -> None:
    """Lines to manifest.jsonl, each checked."""
    from corpus import manifest

    manifest.write(folder / manifest.FILE_NAME, lines(count))


def step_columns(folder: Path, count: int) -> None:
    """manifest.jsonl to manifest.parquet."""
    from corpus import manifest
    from corpus.rowgroups import Columns

    with (folder / manifest.FILE_NAME).open("rb") as file, Columns(folder / "manifest.parquet") as columns:
        for raw in file:
            columns.add(raw)


def step_validate(folder: Path, count: int) -> None:
    """Every field, order, and the proof that nothing stands in two splits."""
    from corpus import manifest
    from corpus.leaks import Proof

    proof = Proof(lambda line: line.text)
    for line in manifest.read(folder / manifest.FILE_NAME):
        proof.feed(line)
    assert not proof.leaks


def step_quick(folder: Path, count: int) -> None:
    """The same rules in columns: every field, order, and what stands in two splits."""
    from corpus import quick

    assert not list(quick.check(folder / "manifest.parquet"))


def step_filter(folder: Path, count: int) -> None:
    """Lines of one split and grade, each checked as it is read."""
    from corpus import manifest
    from corpus.dataset import Wanted

    wanted = Wanted(split="train", grade="quiet", min_snr_db=20)
    assert sum(wanted.takes(line) for line in manifest.read(folder / manifest.FILE_NAME))


def step_load(folder: Path, count: int) -> None:
    """Every line as a value, each checked as it is read."""
    from corpus import manifest

    assert sum(1 for _ in manifest.read(folder / manifest.FILE_NAME)) == count


def _own(folder: Path) -> Iterator:
    """The lines that `step_write` wrote, which need no check."""
    from corpus import manifest

    with (folder / manifest.FILE_NAME).open("rb") as file:
        yield from map(manifest.decode, file)


def step_split(folder: Path, count: int) -> None:
    """Splits of the lines' columns; gathering them is not what is measured."""
    from corpus.columns import Fixed, Gatherer
    from corpus.split import Plan, assign

    gathered = Gatherer()
    for line in _own(folder):
        gathered.add(
            line.speaker_id,
            {"session": line.session_id, "prompt": line.id},
            stratum=(line.dialect or "", line.gender or ""),
            cell=(line.grade, line.style),
            duration_ms=line.samples // 16,
        )
    clips = gathered.clips()
    best = min(_timed(lambda: assign(clips, Fixed(), Plan())) for _ in range(5))
    print(json.dumps({"task": "split", "tool": "xiangyin, columns", "lines": count, "cpu_s": round(best, 3)}))


def _timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def step_build(folder: Path, count: int) -> None:
    """Every file of a release but the audio: manifest, statistics, proof, card, plots, Parquet, sums."""
    from corpus import build, card, manifest

    texts = {"name": "bench", "project": "bench", "title": "Bench", "language": "nan-Hant-TW"}
    outline = build.Outline(
        **texts,
        orthography="nan-Hant",
        rules_version="none",
        license="CC-BY-4.0",
        words=card.Words({"consent-1": "yes"}, "none"),
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
        manifest.rows(_own(folder)),
        previous=(),
        rooms=(),
        excluded=[],
        tombstones=[],
        signer=None,
    )


def fill(folder: Path, count: int) -> None:
    """A database of accepted clips with final texts, as after the desk; not measured."""
    import sqlalchemy as sa

    from corpus import digests, migrate, tables
    from corpus.database import begin, open_engine

    engine = open_engine(f"sqlite:///{folder / 'xiangyin.sqlite'}")
    migrate.upgrade(engine)

    def add(db: sa.Connection, table: sa.Table, rows: list[dict]) -> None:
        db.execute(sa.insert(table), rows)

    told = {"gender": "female", "dialect": "coast", "age_band": "30-39"}
    with begin(engine) as db:
        consent = {"version": "consent-1", "text": "yes", "license": "CC-BY-4.0"}
        project = {"id": "bench", "title": "Bench", "language": "cmn-Hant-TW", "orthography": "zh-Hant"}
        more = {"profile_id": "standard", "terms": {"version": "t", "text": "t"}, "consent": consent}
        add(db, tables.project, [{**project, **more, "created_ms": 1}])
        add(db, tables.person, [{"id": "w", "attributes": {}, "created_ms": 1}])
        for start in range(0, count, CLIPS_EACH * 25):
            rows: dict[str, list[dict]] = {name: [] for name in FILLED}
            for number in range(start, min(start + CLIPS_EACH * 25, count)):
                who, name = number // CLIPS_EACH, str(uuid.UUID(int=number))
                if number % CLIPS_EACH == 0:
                    speaker = {
                        "id": f"p{who}",
                        "speaker_id": f"S{who:08d}",
                        "attributes": told,
                        "created_ms": 1,
                    }
                    rows["person"].append(speaker)
                    version = {"version": "consent-1", "text_sha256": "", "given_ms": 1}
                    rows["consent"].append(
                        {"id": f"c{who}", "person_id": f"p{who}", "project_id": "bench", **version}
                    )
                text = "".join(random.Random(number).choices(EVERYDAY, k=12)) + "。"
                rows["clip"].append(_clip(number, name, who))
                figures = {"snr_db": 30.0, "speech_dbfs": -24.0, "noise_dbfs": -54.0}
                measured = {"method": "levels-1", "figures": figures, "decision": "accept", "findings": []}
                profile = {"profile_id": "standard", "profile_version": "1", "measured_ms": number}
                rows["measurement"].append({"clip_id": name, **measured, **profile})
                job = {"stage": "second", "state": "submitted", "draft": "", "version": 1}
                job |= {"leased_ms": 1, "expires_ms": 1, "project_id": "bench", "person_id": "w"}
                rows["assignment"].append({"id": f"a{number}", "clip_id": name, **job})
                words = {"text_raw": text, "text": text, "applied": [], "events": [], "status": "complete"}
                words |= {
                    "stage": "second",
                    "ruleset": "zh-Hant",
                    "rules_version": "r",
                    "submitted_ms": number,
                }
                words |= {"digest": digests.of_text(name, text, text, [], "complete"), "person_id": "w"}
                rows["transcript"].append(
                    {"id": number + 1, "clip_id": name, "assignment_id": f"a{number}", **words}
                )
                final = {"transcribers": 2, "agreement_cer": 0.0125, "decided_ms": number}
                rows["final_text"].append({"clip_id": name, "transcript_id": number + 1, **final})
            for name in FILLED:
                add(db, tables.metadata.tables[name], rows[name])


FILLED = ("person", "consent", "clip", "measurement", "assignment", "transcript", "final_text")


def _clip(number: int, name: str, who: int) -> dict:
    digest = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4
    return {
        "id": name,
        "item_id": name,
        "project_id": "bench",
        "person_id": f"p{who}",
        "consent_id": f"c{who}",
        "session_id": f"s{number // 50}",
        "recording_id": f"r{number}",
        "channel": 0,
        "start_sample": 0,
        "style": ("read", "monologue")[number % 2],
        "grade_wanted": "quiet",
        "grade": ("quiet", "moderate", "noisy")[number % 3],
        "recorded_at": "2026-10-01T00:00:00Z",
        "upload_sha256": digest,
        "sha256": digest,
        "pcm_md5": f"{number:032x}",
        "bytes": 9000,
        "samples": 16_000 + number * 7919 % 160_000,
        "sample_rate_hz": 16_000,
        "channels": 1,
        "meta": {},
        "state": "accepted",
        "text_stage": "done",
        "received_ms": number,
        "terms_version": "",
    }


def step_draft(folder: Path, count: int) -> None:
    """From the database to lines with their splits: selection, linter, like texts, split, privacy."""
    from corpus.database import open_engine, reading
    from corpus.draft import Wish, draft

    engine = open_engine(f"sqlite:///{folder / 'xiangyin.sqlite'}")
    with reading(engine) as db:
        made = draft(db, Wish("bench", "r1"), folder / "candidates", "inline")
        assert sum(1 for _ in made.lines()) == made.count
        print(json.dumps({"placed": made.count, "left_out": len(made.excluded)}))


# task, tool, step; those of peers are in releases_peers.py
STEPS: tuple[tuple[str, str, Callable[[Path, int], None]], ...] = (
    ("build", "xiangyin manifest.jsonl", step_write),
    ("build", "xiangyin manifest.parquet", step_columns),
    ("build", "xiangyin, a release but for sound", step_build),
    ("validate", "xiangyin, every field", step_validate),
    ("validate", "xiangyin --quick", step_quick),
    ("filter", "xiangyin", step_filter),
    ("load", "xiangyin", step_load),
    ("split", "xiangyin with gathering", step_split),
    ("cut", "xiangyin, database to lines", step_draft),
)


def run_one(place: int, folder: Path, count: int) -> None:
    """One step in this process; prints its own CPU and memory."""
    import corpus.manifest  # the import is not what is measured  # noqa: F401

    task, tool, step = STEPS[place]
    if step is step_draft:
        subprocess.run([sys.executable, __file__, "--fill", str(folder), str(count)], check=True)
    before = time.process_time()
    step(folder, count)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu_s = round(time.process_time() - before, 3)
    print(
        json.dumps({"task": task, "tool": tool, "lines": count, "cpu_s": cpu_s, "peak_mib": round(peak_mib)})
    )


def peers() -> list[str]:
    """Interpreters that peers may be installed for."""
    given = os.environ.get("XIANGYIN_TOOLKITS_PYTHON", "")
    own = Path(__file__).resolve().parent.parent / ".venv-toolkits/bin/python"
    return list(dict.fromkeys([name for name in given.split(":") if name] + [str(own)] * own.exists()))


def told(command: list[str]) -> list[dict]:
    """The objects that a command prints, passed on as they come."""
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            print(line, end="", flush=True)
            found.append(json.loads(line))
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command)
    return found


def measured(count: int) -> tuple[list[dict], set[str]]:
    """What every step took, and the peers that no environment has."""
    found: list[dict] = []
    missing: set[str] | None = None
    with tempfile.TemporaryDirectory() as scratch:
        for place in range(len(STEPS)):
            found += told([sys.executable, __file__, "--step", str(place), scratch, str(count)])
        script = Path(__file__).with_name("releases_peers.py")
        for python in peers():
            known = sorted({row["tool"].split(",")[0] for row in found if "tool" in row})
            rows = told([python, str(script), scratch, str(count), *known])
            absent = {name for row in rows for name in row.get("not installed here", ())}
            missing = absent if missing is None else missing & absent
            found += rows
    return [row for row in found if "cpu_s" in row], missing or set()


def table(rows: list[dict]) -> str:
    """Processor seconds and peak MiB by task and tool, a column for each number of lines."""
    counts = list(dict.fromkeys(row["lines"] for row in rows))
    by_tool: dict[tuple[str, str], dict[int, str]] = {}
    for row in rows:
        peak = f" / {row['peak_mib']}" if "peak_mib" in row else ""
        by_tool.setdefault((row["task"], row["tool"]), {})[row["lines"]] = f"{row['cpu_s']:.3g}{peak}"
    head = " | ".join(f"{count:,}" for count in counts)
    lines = [f"| task | by | {head} |", "| --- " * (2 + len(counts)) + "|"]
    for (task, tool), cells in sorted(by_tool.items(), key=lambda item: item[0][0]):
        lines.append(f"| {task} | {tool} | " + " | ".join(cells.get(count, "") for count in counts) + " |")
    return "\n".join(lines)


def main(words: list[str]) -> None:
    """Run every step for each number of lines, then every peer's on the same files."""
    if words[:1] == ["--step"]:
        run_one(int(words[1]), Path(words[2]), int(words[3]))
        return
    if words[:1] == ["--fill"]:
        fill(Path(words[1]), int(words[2]))
        return
    rows: list[dict] = []
    for count in [int(word) for word in words] or [10_000, 100_000]:
        found, missing = measured(count)
        rows += found
        if missing:
            print(json.dumps({"not installed anywhere": sorted(missing)}), flush=True)
    print(table(rows))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main(sys.argv[1:])
