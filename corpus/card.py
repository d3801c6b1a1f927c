"""The dataset card: ``README.md`` and ``CHANGELOG.md`` for people, from the data alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

import msgspec

from corpus import conditions, fields, header
from corpus.header import Header
from corpus.leaks import NAMED, Proof
from corpus.manifest import SPLITS
from corpus.markdown import mixture, plain, quote, table, visible
from corpus.split import MIN_GROUPS
from corpus.statistics import TOLD, Statistics, counted, hours, size, span
from protocol.clip import GRADES, STYLES
from protocol.errors import catalogue
from transcribe import orthography

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_MAX_SPEAKERS = 200
_BIBTEX_SPECIAL = '{}\\`"#%$&~^_'


@dataclass(frozen=True)
class Words:
    """What the project itself says: to its speakers, and to whoever asks about the corpus."""

    consents: Mapping[str, str]  # text by version
    terms: str
    pay: str | None = None
    contact: str | None = None


@dataclass(frozen=True)
class Story:
    """What the card tells beyond the lines: the project's own words, and how the release came about."""

    words: Words
    excluded: Mapping[str, int]
    split_notes: Sequence[str]
    proof: Proof
    changes: Mapping[str, int]
    history: Sequence[tuple[str, int, str]]  # name, revision, created_at of the releases before
    profiles: Sequence[str]


def readme(head: Header, stats: Statistics, story: Story) -> bytes:
    """The card in Markdown, with the YAML head that the Hugging Face hub reads."""
    template = (resources.files("corpus") / "card.md").read_text(encoding="utf-8")
    return Template(template).substitute(_values(head, stats, story)).encode()


def _values(head: Header, stats: Statistics, story: Story) -> dict[str, str]:
    cross = {f"by_{name}": _cross(stats, name, values) for name, values in _values_of(stats).items()}
    cer = f"{stats.cer_millionths / stats.with_cer / 10_000:.2f} %" if stats.with_cer else "not known"
    return {
        **cross,
        "license_id": head.licenses[0].lower() if len(head.licenses) == 1 else "other",
        "language_list": "\n".join(f"- {name}" for name in _languages(stats, head)),
        "title_string": msgspec.json.encode(head.title).decode(),
        "size": next((name for limit, name in _SIZES if stats.clips < limit), "n>1M"),
        "title": plain(head.title),
        "name": head.name,
        "language": plain(head.language),
        "summary_table": _summary(head, stats),
        "split_table": _splits(stats),
        "proof_table": _proof(story.proof),
        "digest_table": _digests(story.proof),
        "balance_table": _balance(stats),
        "wanted": _wanted(head),
        "near": f"{100 * head.split.get('near_overlap', 0):g} %",
        "compared": f"{head.split.get('texts_compared', 0):,.0f}",
        "by_dialect_grade": _dialects(stats),
        "seed": f"{head.split['seed']:g}",
        "split_notes": "".join(f"- {plain(note)}\n" for note in story.split_notes),
        "methods": mixture(stats.seen["measure_method"], ""),
        "bands": conditions.bands(story.profiles),
        "devices": mixture(stats.seen["device_class"], ""),
        "snr_table": conditions.snr(stats),
        "duration_table": conditions.durations(stats),
        "privacy_k": str(head.privacy_k),
        "speaker_table": _speakers(stats),
        "orthography": head.orthography,
        "conventions": _conventions(head.orthography),
        "rules_version": head.rules_version,
        "cer": cer,
        "transcribers": _transcribers(stats.seen["transcribers"]),
        "characters": f"{stats.characters:,}",
        "alphabet": f"{len(stats.alphabet - {' '}):,}",
        "rate": f"{stats.characters / (stats.ms / 1000):.2f}" if stats.ms else "0",
        "licenses": ", ".join(head.licenses),
        "consents": _consents(stats, story.words),
        "terms_text": quote(story.words.terms),
        "pay": plain(story.words.pay) if story.words.pay else "the terms name no rate",
        "contact": _contact(story.words.contact),
        "clip_fields": _fields(fields.CLIP),
        "room_fields": _fields(fields.ROOM),
        "left_out": _left_out(story),
        "citation": plain(header.citation(head)),
        "bibtex": _bibtex(head),
        "changes": _history(head, story),
        "limits": _limits(stats),
    }


def _values_of(stats: Statistics) -> dict[str, Sequence[str]]:
    """What each table by grade, style, dialect and gender has rows for."""
    told = {name: sorted({value for value, _ in stats.ms_by[name]}) for name in ("dialect", "gender")}
    return {"grade": GRADES, "style": STYLES, **told}


def _languages(stats: Statistics, head: Header) -> list[str]:
    return sorted({f'"{name.split("-")[0]}"' for name in stats.seen["language"] or [head.language]})


def changelog(head: Header, story: Story) -> bytes:
    """``CHANGELOG.md``: this release against the one before, and the list of those before."""
    return ("# Changes\n\n" + _history(head, story)).encode()


def _summary(head: Header, stats: Statistics) -> str:
    days = sorted(stats.days)
    rows = [
        ("clips", f"{stats.clips:,}"),
        ("speech", span(stats.ms)),
        ("length of a clip", conditions.lengths(stats)),
        ("speakers", str(len(stats.ms_by_speaker))),
        ("language", ", ".join(f"`{name}`" for name in sorted(stats.seen["language"]))),
        ("recorded", " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "nothing"),
        ("sound", f"FLAC, lossless as recorded, {size(stats.bytes)}"),
        ("sample rates", mixture(stats.seen["sample_rate_hz"], " Hz")),
        ("channels", mixture(stats.seen["channels"], "")),
        ("licence", ", ".join(head.licenses)),
        ("revision", f"{head.revision}, {head.created_at}"),
    ]
    return table(("release", f"`{head.name}`"), rows)


def _splits(stats: Statistics) -> str:
    rows = [
        (
            name,
            f"{stats.clips_by_split[name]:,}",
            span(stats.ms_by_split[name]),
            f"{100 * stats.ms_by_split[name] / max(stats.ms, 1):.1f} %",
            str(len(stats.speakers_by_split[name])),
        )
        for name in SPLITS
    ]
    return table(("split", "clips", "speech", "share", "speakers"), rows)


def stratum_notes(stats: Statistics) -> list[str]:
    """Which dialects and genders, as they are told, have nothing held out, and why."""
    found = []
    for stratum in sorted(set(stats.stratum_of.values())):
        there = [name for name in SPLITS if stats.ms_by_stratum[stratum, name]]
        if there == list(SPLITS):
            continue
        count = sum(1 for one in stats.stratum_of.values() if one == stratum)
        where = "train only" if there == ["train"] else f"in {' and '.join(there)} only"
        few = f", fewer than {MIN_GROUPS}" if count < MIN_GROUPS else ""
        found.append(f"{' / '.join(stratum)}: {where} ({count} speakers{few})")
    return found


def notes_of_corpus(notes: Sequence[str]) -> list[str]:
    """Those of a header's notes that are about no stratum: the others are made anew from the lines."""
    return [note for note in notes if " only (" not in note]


def _proof(proof: Proof) -> str:
    rows = [
        (f"{kind}s", *(f"{proof.counts_by_split[kind, name]:,}" for name in SPLITS), "0")
        for kind in ("speaker", "session", "recording", "prompt", "text")
    ]
    return table(("", *SPLITS, "in two splits"), rows)


def _digests(proof: Proof) -> str:
    rows = [
        (f"`{kind}_id`", name, f"`{proof.digest(kind, name)}`")
        for kind in NAMED
        for name in SPLITS
        if proof.counts_by_split[kind, name]
    ]
    return table(("field", "split", "SHA-256"), rows)


def _balance(stats: Statistics) -> str:
    rows = []
    strata = sorted(set(stats.stratum_of.values()))
    for stratum in strata:
        whole = sum(stats.ms_by_stratum[stratum, name] for name in SPLITS)
        shares = (f"{100 * stats.ms_by_stratum[stratum, name] / max(whole, 1):.1f} %" for name in SPLITS)
        count = sum(1 for one in stats.stratum_of.values() if one == stratum)
        rows.append((plain(" / ".join(stratum)), str(count), span(whole), *shares))
    return table(("dialect / gender", "speakers", "speech", *SPLITS), rows)


def _wanted(head: Header) -> str:
    """What was asked for: ``dev 10 %, test 1.5 h``."""
    found = []
    for name in ("dev", "test"):
        if f"{name}_hours" in head.split:
            found.append(f"{name} {head.split[f'{name}_hours']:g} h")
        elif f"{name}_share" in head.split:
            found.append(f"{name} {100 * head.split[f'{name}_share']:g} %")
    return ", ".join(found) or "nothing held out"


def _dialects(stats: Statistics) -> str:
    counts = stats.ms_by_dialect_grade
    grades = [grade for grade in GRADES if any(key[1] == grade for key in counts)]
    rows = [
        (plain(dialect), *(f"{hours(counts[dialect, grade]):.3f}" for grade in grades))
        for dialect in sorted({dialect for dialect, _ in counts})
    ]
    return table(("hours", *grades), rows)


def _speakers(stats: Statistics) -> str:
    split_of = {name: split for split, names in stats.speakers_by_split.items() for name in names}
    names = sorted(stats.ms_by_speaker)
    rows = [
        (
            f"`{name}`",
            split_of[name],
            f"{stats.clips_by_speaker[name]:,}",
            span(stats.ms_by_speaker[name]),
            *("" if one is None else plain(one) for one in stats.told_of[name]),
        )
        for name in names[:_MAX_SPEAKERS]
    ]
    more = len(names) - len(rows)
    head = ("speaker", "split", "clips", "speech", *(name.replace("_", " ") for name in TOLD))
    return table(head, rows) + (f"\nand {more:,} more in `speakers.jsonl`.\n" if more else "")


def _fields(meanings: Mapping[str, str]) -> str:
    return table(("field", "meaning"), [(f"`{name}`", meaning) for name, meaning in meanings.items()])


def _conventions(name: str) -> str:
    """What a set of rules allows, in a sentence; a project's own set is in the project's hands."""
    try:
        orth = orthography.load(name)
    except orthography.RulesetUnknown:
        return "This is a set of the project's own."
    scripts = " and ".join(sorted(orth.scripts))
    fillers = " ".join(orth.fillers)
    told = f"{orth.title['en']}: {scripts} script, the marks `{orth.marks}` and no others, numbers in words."
    return told + (f" Fillers are spelled {fillers}." if fillers else "")


def _consents(stats: Statistics, words: Words) -> str:
    """What the speakers agreed to: each version under which a clip of the release stands."""
    told = ""
    for (version, license_id), clips in sorted(stats.consents.items()):
        text = words.consents.get(version)
        told += f"`{plain(version)}`, licence {license_id}, {counted(clips, 'clip')}:\n\n"
        told += (quote(text) if text else "> (the text is no longer known)\n") + "\n"
    return told.rstrip("\n") + "\n" if told else "Nothing is released.\n"


def _contact(contact: str | None) -> str:
    if contact is None:
        return "The project names no contact; ask whoever gave you this release."
    return f"{plain(contact)}"


def _left_out(story: Story) -> str:
    if not story.excluded:
        return "Nothing.\n"
    rows = [(f"`{code}`", str(count), _why(code)) for code, count in sorted(story.excluded.items())]
    return "Each clip with its reason is in `excluded.jsonl`.\n\n" + table(("code", "clips", "why"), rows)


def _why(code: str) -> str:
    sentence = catalogue()[code].sentences["en"]
    return sentence.replace(": {detail}", "").replace(", as {detail}", "")


def _transcribers(counts: Counter[str]) -> str:
    """``two people 98 %, one person 2 %``, the most common first."""
    whole = sum(counts.values())
    words = {"1": "one person", "2": "two people", "3": "three people"}
    shares = (
        (words.get(name, f"{name} people"), 100 * count / whole) for name, count in counts.most_common()
    )
    return ", ".join(f"{name} {share:.3g} %" for name, share in shares) or "nobody"


def _bibtex(head: Header) -> str:
    """An entry for BibTeX; a title's characters that would end it or its code block are left out."""
    title = visible("".join(c for c in head.title if c not in _BIBTEX_SPECIAL))
    key = re.sub(r"[^a-z0-9]+", "-", head.name.lower()).strip("-")
    fields = {
        "title": f"{{{title}}}",
        "year": head.created_at[:4],
        "version": f"{head.name}, revision {head.revision}",
        "howpublished": "Speech corpus",
        "note": f"Language: {head.language}. Licence: {', '.join(head.licenses)}",
    }
    rows = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@misc{{{key},\n{rows}}}"


def _history(head: Header, story: Story) -> str:
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
    points += [
        f"The {name} split has {counted(count, 'speaker')}: what is measured on it says little of others."
        for name in ("dev", "test")
        if 0 < (count := len(stats.speakers_by_split[name])) < MIN_GROUPS
    ]
    points += [f"There is no {grade} speech." for grade in GRADES if not stats.snr[grade]]
    return "\n".join(f"- {point}" for point in points)


def _cross(stats: Statistics, name: str, values: Sequence[str]) -> str:
    counts = stats.ms_by[name]
    rows = [
        (plain(value), *(span(counts[value, split]) for split in SPLITS))
        for value in values
        if any(counts[value, split] for split in SPLITS)
    ]
    return table((name, *SPLITS), rows)
