"""Hugging Face ``datasets``: an AudioFolder whose ``metadata.jsonl`` carries every field of the manifest.

One folder a split, each with its own metadata, because one metadata file cannot serve several splits.
"""

from __future__ import annotations

import msgspec

from corpus.exporters.job import Job, Outputs
from corpus.manifest import SPLITS

_encode = msgspec.json.Encoder().encode
# Speakers' folders keep a folder below the hub's limit of entries.
_CONFIG = """---
license: other
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

{title}, release {name} revision {revision}, as an AudioFolder:

```python
from datasets import load_dataset
data = load_dataset("audiofolder", data_dir="PATH OF THIS FOLDER")
```

The terms of use are {licenses}.
Withdrawn voices must be deleted from copies: run `xiangyin pull` and export again.
"""
_HF_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def write_hf(job: Job) -> int:
    """Write ``train``, ``validation`` and ``test`` with ``metadata.jsonl``, and a card that names them."""
    count = 0
    languages: set[str] = set()
    present: set[str] = set()
    made: set[str] = set()
    with Outputs(job.to) as out:
        for line in job.lines():
            count += 1
            split = _HF_SPLITS[line.split]
            name = f"{line.speaker_id}/{line.id}.flac"
            folder = job.to / split / line.speaker_id
            if str(folder) not in made:
                folder.mkdir(parents=True, exist_ok=True)
                made.add(str(folder))
            job.place(line, folder / f"{line.id}.flac")
            row = msgspec.structs.asdict(line)
            del row["audio"]
            out.write(f"{split}/metadata.jsonl", _encode({"file_name": name, **row}) + b"\n")
            languages.add(line.language)
            present.add(line.split)
    head = job.copy.header
    card = _CONFIG.format(
        languages="\n".join(f"- {name}" for name in sorted(languages)),
        title=msgspec.json.encode(head.title).decode(),
        splits="\n".join(
            f"  - split: {_HF_SPLITS[split]}\n    path: {_HF_SPLITS[split]}/**"
            for split in SPLITS
            if split in present
        ),
        name=head.name,
        revision=head.revision,
        licenses=", ".join(head.licenses),
    )
    (job.to / "README.md").write_text(card, encoding="utf-8")
    return count
