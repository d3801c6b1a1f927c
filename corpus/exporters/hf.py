"""Hugging Face ``datasets``: an AudioFolder whose ``metadata.jsonl`` carries every field of the manifest.

One folder a split, each with its own metadata, because one metadata file cannot serve several splits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from corpus.exporters.batch import Batch
from corpus.exporters.job import Job, Outputs
from corpus.header import Header
from corpus.manifest import SPLITS, Line

SPLIT_NAMES = {"train": "train", "dev": "validation", "test": "test"}
_encode = msgspec.json.Encoder().encode
_CARD = """---
license: {license_id}
language:
{languages}
task_categories:
- automatic-speech-recognition
pretty_name: {title}
configs:
- config_name: default
  data_files:
{splits}
---

{title}, release {name} revision {revision}{kind}:

```python
{loading}
```

The terms of use are {licenses}.
Withdrawn voices must be deleted from copies: run `xiangyin pull` and export again.
"""
_LOADING = """from datasets import load_dataset
data = load_dataset("audiofolder", data_dir="PATH OF THIS FOLDER")"""


@contextmanager
def hf(job: Job) -> Iterator[Callable[[Batch], None]]:
    """Write ``train``, ``validation`` and ``test`` with ``metadata.jsonl``, and a card that names them."""
    languages: set[str] = set()
    present: set[str] = set()
    made: set[str] = set()

    def feed(batch: Batch) -> None:
        for line in batch.lines:
            place(line)

    def place(line: Line) -> None:
        split = SPLIT_NAMES[line.split]
        name = f"{line.speaker_id}/{line.id}.flac"
        # A folder for each speaker keeps folders below the hub's limit of entries.
        folder = f"{split}/{line.speaker_id}"
        if folder not in made:
            (job.to / folder).mkdir(parents=True, exist_ok=True)
            made.add(folder)
        if not job.place(line, job.to / split / name):
            return
        row = msgspec.structs.asdict(line)
        del row["audio"]
        out.write(f"{split}/metadata.jsonl", _encode({"file_name": name, **row}) + b"\n")
        languages.add(line.language)
        present.add(line.split)

    with Outputs(job.to) as out:
        yield feed
        patterns = {SPLIT_NAMES[split]: f"{SPLIT_NAMES[split]}/**" for split in SPLITS if split in present}
        text = card(job.copy.header, languages, patterns, ", as an AudioFolder", _LOADING)
        out.write("README.md", text.encode())


def card(head: Header, languages: Iterable[str], patterns: dict[str, str], kind: str, loading: str) -> str:
    """The page that the hub shows, whose head tells it which files are which split."""
    return _CARD.format(
        license_id=head.licenses[0].lower() if len(head.licenses) == 1 else "other",
        languages="\n".join(f"- {name}" for name in sorted(languages)),
        title=msgspec.json.encode(head.title).decode(),
        splits="\n".join(f"  - split: {split}\n    path: {path}" for split, path in patterns.items()),
        name=head.name,
        revision=head.revision,
        kind=kind,
        loading=loading,
        licenses=", ".join(head.licenses),
    )
