"""What remains of a release's lines when some are withdrawn, with no more told of speakers than may be.

Two passes over a manifest that was found to be what its header names, so that no line is checked again: one
looks at what is told of whom, the other gives the lines. One that does not change is passed on as it stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator
from operator import attrgetter
from pathlib import Path

import msgspec

from corpus import manifest, privacy
from corpus.manifest import Row

_told_in = attrgetter(*privacy.ATTRIBUTES)


class _Telling(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a line tells of its speaker."""

    id: str
    speaker_id: str
    gender: str | None
    dialect: str | None
    age_band: str | None
    region: str | None
    native_language: str | None
    glottocode: str | None
    device_class: str | None


def without(path: Path, gone: Container[str], k: int) -> Iterator[Row]:
    """The lines of a manifest but for those `gone`, telling nothing that fewer than `k` of those left share.

    Where one is gone, the speakers like them may be too few, and so may those who used a device.
    """
    told, devices = _may_be_told(path, gone, k)
    with path.open("rb") as file:
        for raw in file:
            line = manifest.decode(raw)
            if line.id in gone:
                continue
            attributes = told[line.speaker_id]
            device = line.device_class if line.device_class in devices else None
            if _told_in(line) != attributes or line.device_class != device:
                values = dict(zip(privacy.ATTRIBUTES, attributes, strict=True))
                line = msgspec.structs.replace(line, **values, device_class=device)
                raw = manifest.encode(line) + b"\n"
            yield raw, line


def _may_be_told(path: Path, gone: Container[str], k: int) -> tuple[dict[str, privacy.Told], set[str]]:
    """What may be told of each speaker, and which devices may be named."""
    decode = msgspec.json.Decoder(_Telling).decode
    there: dict[str, privacy.Told] = {}
    users: dict[str, set[str]] = defaultdict(set)
    with path.open("rb") as file:
        for raw in file:
            line = decode(raw)
            if line.id not in gone:
                there[line.speaker_id] = _told_in(line)
                if line.device_class is not None:
                    users[line.device_class].add(line.speaker_id)
    return privacy.withheld(there, k), {name for name, found in users.items() if len(found) >= k}
