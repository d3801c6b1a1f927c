"""The dataset card: ``README.md`` for people, ``croissant.json`` for machines, both from the data alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from corpus.header import Header
from corpus.manifest import SPLITS, Line
from corpus.plots import SNR_BIN_DB
from corpus.statistics import DURATION_BIN_S, Statistics, histogram, hours
from protocol.clip import GRADES, STYLES
from protocol.errors import catalogue

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_MAX_SPEAKERS = 200


@dataclass(frozen=True)
class Story:
    """What the card tells beyond the lines: the project's own words, and how the release came about."""

    consent_text: str
    terms_text: str
    excluded: Mapping[str, int]
    split_notes: Sequence[str]
    disjoint: Mapping[str, int]
    changes: Mapping[str, int]
    history: Sequence[tuple[str, int, str]]  # name, revision, created_at of the releases before
    profiles: Sequence[str]


def readme(head: Header, stats: Statistics, story: Story) -> bytes:
    """The card in Markdown, with the YAML head that the Hugging Face hub reads."""
    parts = [
        _yaml(head, stats),
        f"# {_plain(head.title)}: {head.name}\n",
        _summary(head, stats),
        _splits(head, stats, story),
        _conditions(stats, story),
        _speakers(head, stats),
        _texts(head, stats),
        _rights(head, story),
        _left_out(story),
        _use(head),
        _history(head, story),
        _limits(stats),
    ]
    return ("\n".join(parts)).encode()


def changelog(head: Header, story: Story) -> bytes:
    """``CHANGELOG.md``: this release against the one before, and the list of those before."""
    return ("# Changes\n\n" + _history_body(head, story)).encode()


def _yaml(head: Header, stats: Statistics) -> str:
    size = next((name for limit, name in _SIZES if stats.clips < limit), "n>1M")
    languages = sorted({name.split("-")[0] for name in stats.seen["language"]})
    license_id = head.licenses[0].lower() if len(head.licenses) == 1 else "other"
    lines = ["---", f"license: {license_id}", "language:", *(f"- {name}" for name in languages)]
    lines += ["task_categories:", "- automatic-speech-recognition"]
    lines += [f"pretty_name: {_string(head.title)}", "size_categories:", f"- {size}"]
    lines += [
        "configs:",
        "- config_name: manifest",
        "  data_files:",
        "  - split: all",
        "    path: manifest.jsonl",
    ]
    return "\n".join([*lines, "---", ""])


def _summary(head: Header, stats: Statistics) -> str:
    days = sorted(stats.days)
    voices = sum(len(names) for names in stats.speakers_by_split.values())
    rows = [
        ("clips", f"{stats.clips:,}"),
        ("hours", f"{hours(stats.ms):.2f}"),
        ("speakers", str(voices)),
        ("language", ", ".join(f"`{name}`" for name in sorted(stats.seen["language"]))),
        ("recorded", f"{days[0]} to {days[-1]}" if days else "nothing"),
        ("sample rates", _mixture(stats.seen["sample_rate_hz"], " Hz")),
        ("channels", _mixture(stats.seen["channels"], "")),
        ("licence", ", ".join(head.licenses)),
        ("revision", f"{head.revision}, {head.created_at}"),
    ]
    intro = (
        f"Speech in {_plain(head.language)} for speech recognition, recorded under graded noise and transcribed"
        " by two people each under written rules. Every clip carries its measured signal-to-noise ratio.\n"
    )
    return intro + "\n" + _table(("", ""), rows)


def _splits(head: Header, stats: Statistics, story: Story) -> str:
    rows = [
        (
            name,
            f"{stats.clips_by_split[name]:,}",
            f"{hours(stats.ms_by_split[name]):.3f}",
            f"{100 * stats.ms_by_split[name] / max(stats.ms, 1):.1f} %",
            str(len(stats.speakers_by_split[name])),
        )
        for name in SPLITS
    ]
    proved = ", ".join(f"{count} {kind}s" for kind, count in sorted(story.disjoint.items()))
    body = _table(("split", "clips", "hours", "share", "speakers"), rows)
    body += (
        f"\nDisjoint: {proved} were checked, and none stands in two splits; no sound stands in it twice."
        f" Groups that share a speaker, session, recording or prompt were never parted; seed {head.split['seed']:g}."
        " A clip keeps its split in later releases.\n"
    )
    for note in story.split_notes:
        body += f"- {_plain(note)}\n"
    for name, values in (("grade", GRADES), ("style", STYLES)):
        body += f"\nHours by {name} and split:\n\n" + _cross(stats, name, values)
    for name in ("dialect", "gender"):
        body += f"\nHours by {name} and split:\n\n" + _cross(
            stats, name, sorted({v for v, _ in stats.ms_by[name]})
        )
    return "## Splits\n\n" + body


def _conditions(stats: Statistics, story: Story) -> str:
    body = (
        "The grade says in which noise a clip was recorded; the signal-to-noise ratio was measured on the"
        f" server by {_mixture(stats.seen['measure_method'], '')}, the same code that the speaker's recorder ran."
        f" Profiles: {', '.join(story.profiles) or 'none'}. Devices: {_mixture(stats.seen['device_class'], '')}.\n\n"
    )
    low = sorted({value for counts in stats.snr.values() for value in counts})
    if low:
        grades = [grade for grade in GRADES if stats.snr[grade]]
        rows = [
            (f"{value} to {value + SNR_BIN_DB}", *(str(stats.snr[grade][value]) for grade in grades))
            for value in low
        ]
        body += _table(("SNR, dB", *grades), rows)
    body += "\n![clips by SNR](plots/snr.svg)\n\n"
    body += _table(
        ("seconds", "clips"),
        [
            (f"{value} to {value + DURATION_BIN_S}" if value < 30 else "30 and more", str(count))
            for value, count in histogram(stats.durations, DURATION_BIN_S)
            if count
        ],
    )
    return "## Recording conditions\n\n" + body + "\n![clips by duration](plots/duration.svg)\n"


def _speakers(head: Header, stats: Statistics) -> str:
    split_of = {name: split for split, names in stats.speakers_by_split.items() for name in names}
    names = sorted(stats.ms_by_speaker)
    rows = [
        (f"`{name}`", split_of[name], f"{stats.ms_by_speaker[name] / 60_000:.1f}")
        for name in names[:_MAX_SPEAKERS]
    ]
    body = _table(("speaker", "split", "minutes"), rows)
    if len(names) > _MAX_SPEAKERS:
        body += f"\nand {len(names) - _MAX_SPEAKERS} more in `speakers.jsonl`.\n"
    return (
        "## Speakers\n\nSpeakers stand under pseudonyms. What a speaker said of gender, age band, region, native"
        f" language and dialect is given where at least {head.privacy_k} speakers share it, and withheld otherwise.\n\n"
        + body
    )


def _texts(head: Header, stats: Statistics) -> str:
    cer = f"{stats.cer_millionths / stats.with_cer / 10_000:.2f} %" if stats.with_cer else "not known"
    rate = f"{stats.characters / (stats.ms / 1000):.2f}" if stats.ms else "0"
    return (
        "## Transcripts\n\n"
        f"Orthography `{head.orthography}`, rules {head.rules_version}; every text passes the linter"
        f" (`xiangyin lint --ruleset {head.orthography}`). Two people transcribed each clip without seeing each"
        f" other's text; their mean disagreement was {cer} of characters, and a reviewer decided where they differed."
        f" {stats.characters:,} characters, {rate} a second. Sounds beside the words stand as `[tag]` in the text"
        " and with their times in `events`.\n"
    )


def _rights(head: Header, story: Story) -> str:
    return (
        f"## Consent and licence\n\nLicence: {', '.join(head.licenses)}. Each speaker agreed to this text:\n\n"
        + _quote(story.consent_text)
        + "\nand was recorded under these terms:\n\n"
        + _quote(story.terms_text)
        + "\nA speaker may withdraw at any time. Withdrawn clips are erased from every release and listed in"
        " `tombstones.jsonl`; `xiangyin pull` deletes them from your copy, and you must delete them from any other.\n"
    )


def _left_out(story: Story) -> str:
    if not story.excluded:
        return "## Left out\n\nNothing.\n"
    known = catalogue()
    rows = [
        (
            f"`{code}`",
            str(count),
            known[code].sentences["en"].replace(": {detail}", "").replace(", as {detail}", ""),
        )
        for code, count in sorted(story.excluded.items())
    ]
    return "## Left out\n\nEach clip with its reason is in `excluded.jsonl`.\n\n" + _table(
        ("code", "clips", ""), rows
    )


def _use(head: Header) -> str:
    return (
        "## Use\n\n```sh\nxiangyin pull URL --to DIR                       # fetch, verify, resume\n"
        "xiangyin release verify DIR                     # check every byte\n"
        "xiangyin export DIR --format kaldi --to KALDI   # or espnet, lhotse, nemo, wenet, hf, webdataset\n```\n\n"
        '```python\nimport corpus\nfor clip in corpus.load("DIR", split="train", grade="quiet"):\n'
        "    clip.samples, clip.sample_rate_hz, clip.text, clip.line.snr_db\n```\n\n"
        "Files: `manifest.jsonl` (one clip a line; `manifest.parquet` has the same rows), `audio/` by SHA-256,"
        " `speakers.jsonl`, `changes/`, `SHA256SUMS`.\n"
    )


def _history(head: Header, story: Story) -> str:
    return "## Changes\n\n" + _history_body(head, story)


def _history_body(head: Header, story: Story) -> str:
    before = f"against {head.previous.name}" if head.previous else "the first release"
    counts = ", ".join(f"{count} {what}" for what, count in sorted(story.changes.items()))
    lines = [f"- **{head.name}** revision {head.revision}, {head.created_at} ({before}): {counts}"]
    lines += [f"- {name} revision {revision}, {created_at}" for name, revision, created_at in story.history]
    return "\n".join(lines) + "\n"


def _limits(stats: Statistics) -> str:
    points = [
        "Levels are relative to full scale unless `noise_dba` is given, which needs a calibrated device.",
        "The signal-to-noise ratio of a clip rests on its own pauses or the room tone before it.",
        "Attributes that few speakers share are withheld, so balance by them cannot be judged in full.",
    ]
    top = max(stats.ms_by_speaker.values(), default=0)
    if stats.ms and top * 4 > stats.ms:
        points.append(f"One speaker gives {100 * top / stats.ms:.0f} % of the speech.")
    points += [f"The {name} split is empty." for name in SPLITS if not stats.clips_by_split[name]]
    return "## Known limits\n\n" + "\n".join(f"- {point}" for point in points) + "\n"


def croissant(head: Header, files: Mapping[str, Any]) -> bytes:
    """Croissant 1.1 (JSON-LD): the files, the audio, and the manifest's fields as a record set."""
    types = {str: "sc:Text", int: "sc:Integer", float: "sc:Float"}
    fields = []
    for name, kind in Line.__annotations__.items():
        base = str(kind)
        data_type = types[int] if base == "int" else types[float] if base.startswith("float") else types[str]
        fields.append(
            {
                "@type": "cr:Field",
                "@id": f"clips/{name}",
                "name": name,
                "dataType": data_type,
                "source": {"fileObject": {"@id": "manifest.jsonl"}, "extract": {"column": name}},
            }
        )
    distribution: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{files[name].bytes} B",
            "encodingFormat": _FORMATS[name.rsplit(".", 1)[-1]],
            "sha256": files[name].sha256,
        }
        for name in ("manifest.jsonl", "speakers.jsonl", "tombstones.jsonl")
    ]
    distribution.append(
        {
            "@type": "cr:FileSet",
            "@id": "audio",
            "name": "audio",
            "encodingFormat": "audio/flac",
            "includes": "audio/*/*.flac",
        }
    )
    value = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": head.name,
        "description": f"{head.title}: speech in {head.language} with transcripts and measured noise.",
        "license": [f"https://spdx.org/licenses/{name}" for name in head.licenses],
        "url": f"urn:xiangyin:{head.project}:{head.name}",
        "version": f"{head.revision}.0.0",
        "datePublished": head.created_at,
        "inLanguage": head.language,
        "distribution": distribution,
        "recordSet": [{"@type": "cr:RecordSet", "@id": "clips", "name": "clips", "field": fields}],
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


_FORMATS = {"jsonl": "application/jsonlines", "parquet": "application/vnd.apache.parquet"}
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "key": "cr:key",
    "md5": "cr:md5",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "source": "cr:source",
    "transform": "cr:transform",
}


def _cross(stats: Statistics, name: str, values: Sequence[str]) -> str:
    counts = stats.ms_by[name]
    rows = [
        (_plain(value), *(f"{hours(counts[value, split]):.3f}" for split in SPLITS))
        for value in values
        if any(counts[value, split] for split in SPLITS)
    ]
    return _table((name, *SPLITS), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _mixture(counts: Counter[str], unit: str) -> str:
    whole = sum(counts.values())
    if len(counts) == 1:
        return f"{_plain(next(iter(counts)))}{unit}"
    return ", ".join(f"{_plain(n)}{unit} ({100 * c / whole:.0f} %)" for n, c in sorted(counts.items()))


def _plain(text: str) -> str:
    """Text that a person gave, unable to be markup or to leave its table cell."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in flat)


def _quote(text: str) -> str:
    return "".join(f"> {_plain(line)}\n" for line in text.splitlines() or [""])


def _string(text: str) -> str:
    return msgspec.json.encode(text).decode()
