"""Common Voice's layout, a folder a language: six unquoted tables, ``clip_durations.tsv`` and ``clips/``.

The columns are those of release 25. Every clip is validated, since two people wrote it down; they are its
votes. ``age`` takes Common Voice's words for the bands, and ``accents`` the speaker's own for the dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from corpus.exporters.batch import Batch
from corpus.exporters.job import Job, Outputs, plain, spaced
from corpus.manifest import Line

COLUMNS = (
    *("client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes"),
    *("age", "gender", "accents", "variant", "locale", "segment"),
)
_TABLES = ("train", "dev", "test", "validated", "invalidated", "other")
_DECADES = ("twenties", "thirties", "fourties", "fifties", "sixties", "seventies", "eighties", "nineties")
_GENDERS = {"female": "female_feminine", "male": "male_masculine"}


@contextmanager
def common_voice(job: Job) -> Iterator[Callable[[Batch], None]]:
    """Write ``<language>/{train,dev,test,validated,invalidated,other}.tsv``, durations and clips."""
    languages: set[str] = set()
    head = "\t".join(COLUMNS)

    def feed(batch: Batch) -> None:
        for line in batch.lines:
            place(line)

    def place(line: Line) -> None:
        folder = line.language
        if folder not in languages:
            languages.add(folder)
            (job.to / folder / "clips").mkdir(parents=True, exist_ok=True)
            for table in _TABLES:
                out.text(f"{folder}/{table}.tsv", head)
            out.text(f"{folder}/clip_durations.tsv", "clip\tduration[ms]")
        name = f"{line.id}.flac"
        if not job.place(line, job.to / folder / "clips" / name):
            return
        row = "\t".join(_cells(line, name))
        out.text(f"{folder}/{line.split}.tsv", row)
        out.text(f"{folder}/validated.tsv", row)
        duration_ms = (line.samples * 1000 + line.sample_rate_hz // 2) // line.sample_rate_hz
        out.text(f"{folder}/clip_durations.tsv", f"{name}\t{duration_ms}")

    with Outputs(job.to) as out:
        yield feed


def _cells(line: Line, name: str) -> tuple[str, ...]:
    return (
        line.speaker_id,
        name,
        plain(line.prompt_id),
        spaced(line.text),
        "",
        str(line.transcribers),
        "0",
        _age(line.age_band),
        _GENDERS.get((line.gender or "").lower(), plain(line.gender)),
        plain(line.dialect),
        line.glottocode or "",
        line.language,
        "",
    )


def _age(band: str | None) -> str:
    """Common Voice's word for a band such as ``30-39``; its spelling is its own."""
    start = (band or "").split("-")[0]
    if start.isascii() and start.isdigit():
        years = int(start)
        if years < 20:
            return "teens"
        if years // 10 - 2 < len(_DECADES):
            return _DECADES[years // 10 - 2]
    return ""
