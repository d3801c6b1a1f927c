"""Prompts: texts to be read aloud, in their order; imported whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import columns, projects, tables
from corpus.manifest import SPLITS
from protocol.errors import CodedError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_CHARACTERS = 1000
_NAMED_PROBLEMS = 5
_SMALLEST_POOL = 20  # with fewer prompts set aside, some voices would have too little to read


class PromptsInvalid(CodedError):
    """A file of prompts has bad lines; none of it was taken."""

    code: ClassVar[str] = "PROMPTS_INVALID"


@dataclass(frozen=True)
class Prompt:
    """A text to be read aloud."""

    id: str
    seq: int
    text: str

    def as_json(self) -> dict[str, object]:
        """``{"id","seq","text"}``."""
        return {"id": self.id, "seq": self.seq, "text": self.text}


def of_project(db: Connection, project_id: str) -> list[Prompt]:
    """The project's prompts in order."""
    columns = tables.prompt.c
    rows = db.execute(
        sa.select(columns.id, columns.seq, columns.text)
        .where(columns.project_id == project_id)
        .order_by(columns.seq)
    )
    return [Prompt(*row) for row in rows]


def for_member(db: Connection, project_id: str, speaker_id: str | None) -> list[Prompt]:
    """The prompts that a speaker reads, in order; all of them for those who are no speakers.

    Where there are enough, a tenth of the prompts is set aside for the voices of each of dev and test
    before anybody records. If all read all, a text would tie every voice together, and nothing could be
    held out without throwing recordings away.
    """
    everything = of_project(db, project_id)
    if speaker_id is None:
        return everything
    split = tables.split.c
    query = sa.select(split.kind, split.value, split.split).where(
        split.project_id == project_id, split.kind.in_(("speaker", "prompt", "text"))
    )
    fixed = {columns.stored_key(row.kind, row.value): row.split for row in db.execute(query)}
    folded = dict(
        db.execute(
            sa.select(tables.prompt.c.id, tables.prompt.c.folded).where(
                tables.prompt.c.project_id == project_id
            )
        ).all()
    )
    pools: dict[str, list[Prompt]] = {name: [] for name in SPLITS}
    for prompt in everything:
        key = columns.unit_key("prompt", columns.prompt_name(folded[prompt.id]))
        pools[fixed.get(key) or _pool(project_id, folded[prompt.id])].append(prompt)
    if min(len(pool) for pool in pools.values()) < _SMALLEST_POOL:
        return everything
    mine = fixed.get(columns.unit_key("speaker", speaker_id)) or _pool(project_id, speaker_id)
    return pools[mine]


def _pool(project_id: str, name: str) -> str:
    """One of ten prompts, and one of ten voices, for each of dev and test, by a hash."""
    digest = hashlib.blake2b(
        f"{project_id}\n{name}".encode(), digest_size=8, person=b"xiangyin-pools"
    ).digest()
    return {0: "test", 1: "dev"}.get(int.from_bytes(digest, "big") % 10, "train")


def exists(db: Connection, project_id: str, prompt_id: str) -> bool:
    """Whether the project has a prompt of this id."""
    columns = tables.prompt.c
    query = sa.select(columns.id).where(columns.id == prompt_id, columns.project_id == project_id)
    return db.execute(query).first() is not None


def read(text: str, name: str) -> list[tuple[str | None, str]]:
    """Read ``(id or None, text)`` from the text of a file: one a line, CSV with a header, or JSON Lines.

    Raises
    ------
    PromptsInvalid
        Naming the lines that are bad and why; the whole file is refused.
    """
    suffix = PurePath(name).suffix.lower()
    body = text.removeprefix("\ufeff")
    if suffix in (".jsonl", ".ndjson"):
        found, problems = _jsonl(body)
    elif suffix == ".csv":
        found, problems = _csv(body)
    else:
        lines = enumerate(body.splitlines(), start=1)
        found, problems = [(n, None, line.strip()) for n, line in lines if line.strip()], []
    seen_texts: dict[str, int] = {}
    seen_ids: dict[str, int] = {}
    for line, prompt_id, prompt_text in found:
        problem = _problem(prompt_id, prompt_text)
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


def add(db: Connection, project_id: str, new: Sequence[tuple[str | None, str, str]]) -> int:
    """Add prompts ``(id or None, text, folded)`` after those there; a text already there is passed over.

    An id that another project uses is set behind this project's slug, because ids name prompts in
    manifests of all projects.

    Returns
    -------
    int
        How many were added.
    """
    projects.by_id(db, project_id)
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


def _problem(prompt_id: str | None, text: str) -> str | None:
    if not text:
        return "the text is empty"
    if len(text) > _MOST_CHARACTERS:
        return f"the text is longer than {_MOST_CHARACTERS} characters"
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for c in text):
        return "the text holds control characters"
    if prompt_id is not None and not _ID.fullmatch(prompt_id):
        return "the id needs 1 to 64 letters, digits, dots, dashes or underscores"
    return None


_Lines = list[tuple[int, str | None, str]]
_Problems = list[tuple[int, str]]


def _csv(body: str) -> tuple[_Lines, _Problems]:
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


def _jsonl(body: str) -> tuple[_Lines, _Problems]:
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
