"""A release in the formats of toolkits: each format is a function from the manifest to an empty folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from corpus.dataset import Copy, Wanted
from corpus.disk import disk_errors, sync_folder
from corpus.exporters import hf, kaldi, lhotse, nemo, tars
from corpus.exporters.job import AudioForm, Exporter, Job, make_empty
from protocol.errors import CodedError

MARK_NAME = ".xiangyin-export.json"

EXPORTERS: Mapping[str, Exporter] = {
    "kaldi": kaldi.write_kaldi,
    "espnet": kaldi.write_espnet,
    "lhotse": lhotse.write_lhotse,
    "nemo": nemo.write_nemo,
    "wenet": nemo.write_wenet,
    "wenet-shards": tars.write_wenet_shards,
    "webdataset": tars.write_webdataset,
    "hf": hf.write_hf,
}


class FormatUnknown(CodedError):
    """No exporter has this name."""

    code: ClassVar[str] = "EXPORT_FORMAT_UNKNOWN"


class TargetTaken(CodedError):
    """The folder holds something that no export of ours made."""

    code: ClassVar[str] = "EXPORT_TARGET_TAKEN"


class Exported(msgspec.Struct, frozen=True):
    """What an export made; also kept in its folder, so that it may be replaced by the next one."""

    format: str
    release: str
    revision: int
    release_sha256: str
    wanted: Wanted
    utterances: int


def find(name: str) -> Exporter:
    """The exporter of this name, or `FormatUnknown`."""
    if name not in EXPORTERS:
        raise FormatUnknown(format=name[:40], known=", ".join(EXPORTERS))
    return EXPORTERS[name]


def export(
    copy: Copy,
    name: str,
    to: Path,
    *,
    wanted: Wanted | None = None,
    audio: AudioForm = "pipe",
    root: str | None = None,
) -> Exported:
    """Write `copy` in one format into the folder `to`, whole or not at all.

    An earlier export in that folder is replaced; anything else there is left alone and refused.

    Raises
    ------
    FormatUnknown
        If no exporter has this name.
    TargetTaken
        If `to` holds files that no export made.
    """
    exporter = find(name)
    target = to.absolute()
    occupied = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if occupied and not (target / MARK_NAME).is_file():
        raise TargetTaken(folder=str(to))
    chosen = wanted or Wanted()
    work = target.with_name(f".{target.name}.part")
    old = target.with_name(f".{target.name}.old")
    with disk_errors():
        make_empty(work)
        try:
            count = exporter(Job(copy, work, chosen, audio, root))
            head = copy.header
            done = Exported(name, head.name, head.revision, copy.sha256, chosen, count)
            (work / MARK_NAME).write_bytes(msgspec.json.encode(done) + b"\n")
        except BaseException:
            shutil.rmtree(work)
            raise
        if old.exists():
            shutil.rmtree(old)
        if target.exists():
            target.rename(old)
        work.rename(target)
        sync_folder(target.parent)
        if old.exists():
            shutil.rmtree(old)
    return done
