"""Collection projects and their prompts."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import tables
from protocol.errors import CodedError

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PROMPT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PROMPT_CHARACTERS = 1000
_NAMED_PROBLEMS = 5

DEFAULT_TERMS: Mapping[str, Any] = {
    "version": "terms-1",
    "text": (
        "Each accepted second of sound is counted; a refusal names its reason and can be appealed within"
        " 14 days."
    ),
    "currency": None,
    "rate_per_s": None,
    "appeal_days": 14,
}
DEFAULT_CONSENT: Mapping[str, Any] = {
    "version": "consent-1",
    "text": (
        "I agree that my recorded voice, with my gender, age band, region and native language but without my"
        " name, is published in a speech corpus under the licence named here. I may withdraw at any time;"
        " my recordings are then erased from the corpus and from its later copies."
    ),
    "license": "CC-BY-4.0",
}


class ProjectUnknown(CodedError):
    """There is no such project."""

    code: ClassVar[str] = "PROJECT_UNKNOWN"


class ProjectExists(CodedError):
    """The slug is taken by a project with other settings."""

    code: ClassVar[str] = "PROJECT_EXISTS"


class ProjectInvalid(CodedError):
    """A value of a new project has a wrong shape."""

    code: ClassVar[str] = "VALUE_INVALID"


class PromptsInvalid(CodedError):
    """A file of prompts has bad lines; none of it was taken."""

    code: ClassVar[str] = "PROMPTS_INVALID"


@dataclass(frozen=True)
class Project:
    """A collection project as stored."""

    id: str
    title: str
    language: str
    orthography: str
    profile_id: str
    terms: Mapping[str, Any]
    consent: Mapping[str, Any]
    created_ms: int


@dataclass(frozen=True)
class Prompt:
    """A text to be read aloud."""

    id: str
    seq: int
    text: str

    def as_json(self) -> dict[str, object]:
        """``{"id","seq","text"}``."""
        return {"id": self.id, "seq": self.seq, "text": self.text}


def create(db: Connection, new: Project) -> None:
    """Store a project. The same project again changes nothing; another one under its slug is refused.

    Raises
    ------
    ProjectInvalid
        If slug, title, language, terms or consent have a wrong shape.
    ProjectExists
        If the slug is taken by a project with other settings.
    """
    _check(new)
    stored = _find(db, new.id)
    if stored is not None:
        if _settings(stored) != _settings(new):
            raise ProjectExists(project=new.id)
        return
    db.execute(sa.insert(tables.project).values(created_ms=new.created_ms, **_settings(new)))


def by_id(db: Connection, project_id: str) -> Project:
    """The project, or `ProjectUnknown`."""
    found = _find(db, project_id)
    if found is None:
        raise ProjectUnknown(project=project_id)
    return found


def every(db: Connection) -> list[Project]:
    """All projects by slug."""
    rows = db.execute(sa.select(tables.project).order_by(tables.project.c.id))
    return [Project(**row._mapping) for row in rows]


def prompts(db: Connection, project_id: str) -> list[Prompt]:
    """The project's prompts in order."""
    columns = tables.prompt.c
    rows = db.execute(
        sa.select(columns.id, columns.seq, columns.text)
        .where(columns.project_id == project_id)
        .order_by(columns.seq)
    )
    return [Prompt(*row) for row in rows]


def has_prompt(db: Connection, project_id: str, prompt_id: str) -> bool:
    """Whether the project has a prompt of this id."""
    columns = tables.prompt.c
    query = sa.select(columns.id).where(columns.id == prompt_id, columns.project_id == project_id)
    return db.execute(query).first() is not None


def read_prompts(text: str, name: str) -> list[tuple[str | None, str]]:
    """Read ``(id or None, text)`` from the text of a file: one a line, CSV with a header, or JSON Lines.

    Raises
    ------
    PromptsInvalid
        Naming the lines that are bad and why; the whole file is refused.
    """
    suffix = PurePath(name).suffix.lower()
    body = text.removeprefix("\ufeff")
    if suffix in (".jsonl", ".ndjson"):
        found, problems = _from_jsonl(body)
    elif suffix == ".csv":
        found, problems = _from_csv(body)
    else:
        lines = enumerate(body.splitlines(), start=1)
        found, problems = [(n, None, line.strip()) for n, line in lines if line.strip()], []
    seen_texts: dict[str, int] = {}
    seen_ids: dict[str, int] = {}
    for line, prompt_id, prompt_text in found:
        problem = _prompt_problem(prompt_id, prompt_text)
        if problem is None and prompt_text in seen_texts:
            problem = f"the same text as line {seen_texts[prompt_text]}"
        if problem is None and prompt_id is not None and prompt_id in seen_ids:
            problem = f"the same id as line {seen_ids[prompt_id]}"
        if problem is not None:
            problems.append((line, problem))
        seen_texts.setdefault(prompt_text, line)
        if prompt_id is not None:
            seen_ids.setdefault(prompt_id, line)
    if not found and not problems:
        problems = [(1, "the file holds no prompt")]
    if problems:
        named = "; ".join(f"line {line}: {problem}" for line, problem in sorted(problems)[:_NAMED_PROBLEMS])
        more = "; …" if len(problems) > _NAMED_PROBLEMS else ""
        raise PromptsInvalid(count=len(problems), problems=named + more)
    return [(prompt_id, prompt_text) for _, prompt_id, prompt_text in found]


def add_prompts(db: Connection, project_id: str, new: Sequence[tuple[str | None, str, str]]) -> int:
    """Add prompts ``(id or None, text, folded)`` after those there; a text already there is passed over.

    An id that another project uses is set behind this project's slug, because ids name prompts in
    manifests of all projects.

    Returns
    -------
    int
        How many were added.
    """
    by_id(db, project_id)
    columns = tables.prompt.c
    there = set(db.execute(sa.select(columns.text).where(columns.project_id == project_id)).scalars())
    taken = set(db.execute(sa.select(columns.id)).scalars())
    seq = len(there)
    added = 0
    problems = []
    for prompt_id, text, folded in new:
        if text in there:
            continue
        seq += 1
        chosen = prompt_id or f"{project_id[:50]}-{seq:05d}"
        if chosen in taken:
            chosen = f"{project_id[:50]}-{chosen}"[:64]
        if chosen in taken:
            problems.append(f"the id {chosen} is in use")
            continue
        taken.add(chosen)
        db.execute(
            sa.insert(tables.prompt).values(
                id=chosen, project_id=project_id, seq=seq, text=text, folded=folded
            )
        )
        added += 1
    if problems:
        raise PromptsInvalid(count=len(problems), problems="; ".join(problems[:_NAMED_PROBLEMS]))
    return added


def _find(db: Connection, project_id: str) -> Project | None:
    row = db.execute(sa.select(tables.project).where(tables.project.c.id == project_id)).one_or_none()
    return None if row is None else Project(**row._mapping)


def _settings(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "title": project.title,
        "language": project.language,
        "orthography": project.orthography,
        "profile_id": project.profile_id,
        "terms": dict(project.terms),
        "consent": dict(project.consent),
    }


def _check(project: Project) -> None:
    if not _SLUG.fullmatch(project.id):
        raise ProjectInvalid(
            field="project", problem="need 1 to 63 lower-case letters, digits and inner dashes"
        )
    if not project.title.strip() or not project.title.isprintable() or len(project.title) > 200:
        raise ProjectInvalid(field="title", problem="need a printable text of at most 200 characters")
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", project.language):
        raise ProjectInvalid(field="language", problem="need a BCP 47 tag such as nan-Hant-TW")
    for name, value in (("terms", project.terms), ("consent", project.consent)):
        if (
            not isinstance(value, Mapping)
            or not isinstance(value.get("text"), str)
            or not value["text"].strip()
        ):
            raise ProjectInvalid(field=name, problem="need an object with version and text")
        if not isinstance(value.get("version"), str) or not _PROMPT_ID.fullmatch(value["version"]):
            raise ProjectInvalid(field=f"{name}.version", problem="need letters, digits, dots and dashes")
    if not isinstance(project.consent.get("license"), str) or not project.consent["license"]:
        raise ProjectInvalid(field="consent.license", problem="need an SPDX licence such as CC-BY-4.0")


def _prompt_problem(prompt_id: str | None, text: str) -> str | None:
    if not text:
        return "the text is empty"
    if len(text) > _PROMPT_CHARACTERS:
        return f"the text is longer than {_PROMPT_CHARACTERS} characters"
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for c in text):
        return "the text holds control characters"
    if prompt_id is not None and not _PROMPT_ID.fullmatch(prompt_id):
        return "the id needs 1 to 64 letters, digits, dots, dashes or underscores"
    return None


_Lines = list[tuple[int, str | None, str]]
_Problems = list[tuple[int, str]]


def _from_csv(body: str) -> tuple[_Lines, _Problems]:
    found: _Lines = []
    problems: _Problems = []
    reader = csv.DictReader(io.StringIO(body, newline=""), strict=True)
    try:
        if "text" not in (reader.fieldnames or ()):
            return [], [(1, "the header needs a column named text")]
        for row in reader:
            if None in row or None in row.values():
                problems.append((reader.line_num, "the number of columns differs from the header"))
            else:
                found.append((reader.line_num, (row.get("id") or "").strip() or None, row["text"].strip()))
    except csv.Error as error:
        problems.append((reader.line_num, str(error)))
    return found, problems


def _from_jsonl(body: str) -> tuple[_Lines, _Problems]:
    found: _Lines = []
    problems: _Problems = []
    for number, line in enumerate(body.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            problems.append((number, "this is not JSON"))
            continue
        prompt_id = row.get("id") if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            problems.append((number, 'need an object with "text"'))
        elif prompt_id is not None and not isinstance(prompt_id, str):
            problems.append((number, "the id must be a text"))
        else:
            found.append((number, prompt_id, row["text"].strip()))
    return found, problems
