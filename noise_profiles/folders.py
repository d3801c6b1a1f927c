"""Which files are meant by the words of a command, and what their pictures are called."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from noise_profiles.files import FileUnreadable, Heard, Item, os_problem
from protocol.errors import CodedError

AUDIO_SUFFIXES = frozenset(
    (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64", ".rf64")
)


class AudioMissing(CodedError):
    """A folder without audio files."""

    code = "AUDIO_MISSING"


def found(paths: Sequence[Path]) -> Iterator[Item]:
    """The files named, and for each folder the audio files in it and below, in order of name.

    Hidden files are passed over: some systems put one beside each real file. A folder without audio, and one
    that may not be entered, are items with an error.
    """
    for path in paths:
        if not path.is_dir():
            yield Item(str(path), path, bytes=_size(path))
            continue
        problems: list[OSError] = []
        count = 0
        for folder, below, names in os.walk(path, onerror=problems.append):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(names):
                if Path(name).suffix.lower() in AUDIO_SUFFIXES and not name.startswith("."):
                    count += 1
                    file = Path(folder, name)
                    yield Item(str(file), file, bytes=_size(file))
        for problem in problems:
            name = str(problem.filename)
            error = FileUnreadable(file=name, **os_problem(problem))
            yield Item(name, Path(name), error=Heard.failed(name, error))
        if not count and not problems:
            yield Item(str(path), path, error=Heard.failed(str(path), AudioMissing(file=str(path))))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


_UNSAFE = re.compile(r'[\\/:*?"<>|\s]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.I)


def with_pictures(items: Sequence[Item], folder: Path) -> list[Item]:
    """Each item with the file its picture goes to: its own name where that is safe and nobody else's.

    Any other name gets a few digits of the digest of the whole path, so that the same path always gives the
    same picture file and two never share one.
    """
    names = [_safe(Path(item.name).name) for item in items]
    folded = [unicodedata.normalize("NFC", name).casefold() for name in names]
    paths: dict[str, set[str]] = {}
    for name, item in zip(folded, items, strict=True):
        paths.setdefault(name, set()).add(item.name)
    done = []
    for item, name, key in zip(items, names, folded, strict=True):
        if name != Path(item.name).name or len(paths[key]) > 1:
            digest = hashlib.sha256(item.name.encode("utf-8", "surrogateescape")).hexdigest()
            name = f"{name}-{digest[:10]}"
        done.append(replace(item, picture=folder / f"{name}.svg"))
    return done


def _safe(name: str) -> str:
    """The name as every file system takes it, and not a hidden one."""
    safe = "".join("_" if not c.isprintable() or _UNSAFE.match(c) else c for c in name).strip(". ")
    while len(safe.encode()) > 180:
        safe = safe[:-1]
    return f"_{safe}" if not safe or _RESERVED.match(safe) else safe
