"""Check any copy of a release against itself, trusting nothing but its header.

Every file's digest and size, every manifest line, every sound (digest, and the samples that its FLAC
header counts), the split, the text's rules, the sums, the tombstones, the signature where the key is known.
"""

from __future__ import annotations

import hashlib
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus import compute, header, manifest, streaminfo
from corpus.dataset import STATE_FOLDER, Mark, read_mark
from corpus.header import FileEntry, Header
from corpus.keys import verify_ed25519
from corpus.leaks import Proof
from corpus.liketexts import Numbered, Texts, fold
from corpus.manifest import Line, ManifestInvalid
from protocol.errors import CodedError
from protocol.tlog import ReceiptInvalid, VerifierKey, open_note

_SHARD_LINES = 500
_DIGEST_BYTES = 32
_PARTIAL = (manifest.FILE_NAME, "manifest.parquet", header.SUMS_NAME)  # differ in a copy of some clips only


@dataclass(frozen=True)
class Finding:
    """One thing that is not as the release says."""

    file: str
    line: int | None
    code: str
    detail: str

    def as_json(self) -> dict[str, object]:
        """``{"file","line","code","detail"}``."""
        return {"file": self.file, "line": self.line, "code": self.code, "detail": self.detail}


@dataclass(frozen=True)
class Report:
    """What was checked and what was found."""

    name: str
    revision: int
    sha256: str
    clips: int
    bytes: int
    hours: float
    signature: str  # good | absent | not checked
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, object]:
        """The summary; the findings are printed on their own."""
        return {
            "release": self.name,
            "revision": self.revision,
            "sha256": self.sha256,
            "clips": self.clips,
            "audio_bytes": self.bytes,
            "hours": self.hours,
            "signature": self.signature,
            **{f"{kind}s": count for kind, count in self.counts.items()},
            "findings": len(self.findings),
            "ok": not self.findings,
        }


def verify(folder: Path, *, setting: str = "local", vkeys: Sequence[str] = (), quick: bool = False) -> Report:
    """Check the release or pulled copy in `folder`.

    Parameters
    ----------
    setting : str
        Where sounds are hashed, as for `compute.executor`.
    vkeys : sequence of str
        The publisher's keys; without any the one that the pull remembered is used.
    quick : bool
        Look at the files and the lines, and open no sound. A copy of a part has no columns to look at, and
        is checked in full.

    Raises
    ------
    ReleaseInvalid
        If there is no readable header, so that nothing can be checked.
    """
    head, raw = header.read(folder)
    mark = read_mark(folder)
    findings: list[Finding] = []
    if mark is not None and not mark.complete:
        findings.append(Finding(header.FILE_NAME, None, "COPY_INCOMPLETE", "a pull into it was interrupted"))
    partial = mark is not None and mark.wanted != type(mark.wanted)()
    findings += _check_files(folder, head, partial)
    kept = (mark.vkey,) if mark is not None and mark.vkey is not None else ()
    signature = _check_signature(folder, head, raw, vkeys or kept, findings)
    if quick and not partial:
        return _quickly(folder, head, raw, signature, findings)
    stones = _tombstones(folder, findings)
    proof = Proof(fold)
    totals = _Totals()
    sides, starts = array("b"), array("Q")
    lines = _lines(folder, findings, mark if partial else None, starts)

    def shards() -> Iterator[Shard]:
        for chunk in compute.chunks(lines, _SHARD_LINES):
            for number, line in chunk:
                proof.feed(line)
                totals.feed(line)
                sides.append(manifest.SPLITS.index(line.split))
                if line.id in stones or line.sha256 in stones:
                    detail = f"{line.id} was withdrawn and must not be here"
                    findings.append(Finding(manifest.FILE_NAME, number, "BLOB_WITHDRAWN", detail))
            yield Shard(str(folder), head.rules_version, tuple(chunk))

    with tempfile.TemporaryDirectory() as scratch:
        texts = Texts(Path(scratch))
        for found, keys in compute.run(setting, check_shard, shards()):
            findings += found
            texts.add(keys)
        near_leaks = texts.leaks(Numbered(folder / manifest.FILE_NAME, starts), sides)
        findings += [Finding(manifest.FILE_NAME, None, "RELEASE_LEAK", says) for says in near_leaks]
    findings += [Finding(manifest.FILE_NAME, None, "RELEASE_LEAK", str(leak)) for leak in proof.leaks]
    findings += _check_totals(head, totals, partial)
    findings += _strangers(folder, totals)
    if not partial:
        findings += _check_sums(head, totals)
    counts = {kind: proof.counts[kind] for kind in ("speaker", "session", "recording", "prompt")}
    return Report(
        head.name,
        head.revision,
        header.sha256_of(raw),
        totals.clips,
        totals.bytes,
        round(totals.ms / 3_600_000, 6),
        signature,
        counts,
        tuple(findings),
    )


def _quickly(folder: Path, head: Header, raw: bytes, signature: str, findings: list[Finding]) -> Report:
    from corpus import quick

    try:
        troubles = list(quick.check(folder / "manifest.parquet"))
        findings += [
            Finding("manifest.parquet", one.line, "MANIFEST_INVALID", one.detail) for one in troubles
        ]
    except (OSError, ValueError) as error:  # what Arrow raises for a file that is not Parquet
        findings.append(Finding("manifest.parquet", None, "RELEASE_INVALID", str(error)))
    counts = {"speaker": head.counts["speakers"]}
    digest = header.sha256_of(raw)
    hours = head.hours["total"]
    clips, size = head.counts["clips"], head.audio.bytes
    return Report(head.name, head.revision, digest, clips, size, hours, signature, counts, tuple(findings))


@dataclass(frozen=True)
class Shard:
    """Some lines with their numbers, and where their sounds lie."""

    folder: str
    rules_version: str
    lines: tuple[tuple[int, Line], ...]


def check_shard(shard: Shard) -> tuple[list[Finding], list[bytes | None]]:
    """Check the sounds and texts of some lines, and give keys by which like texts are found.

    Pure, so that it may run anywhere the folder is seen.
    """
    from corpus import near
    from transcribe import lint

    findings: list[Finding] = []
    folded = [fold(line) for _, line in shard.lines]
    for number, line in shard.lines:
        wrong = sound_problem(Path(shard.folder) / line.audio, line)
        if wrong is not None:
            findings.append(Finding(line.audio, number, "RELEASE_INVALID", wrong))
        if line.rules_version == lint.RULES_VERSION:
            codes = sorted({f.code for f in lint.check(line.text, line.orthography) if f.severity == "error"})
            if codes:
                detail = f"text of {line.id} breaks {', '.join(codes)}"
                findings.append(Finding(manifest.FILE_NAME, number, "MANIFEST_INVALID", detail))
    return findings, near.rows(folded, [line.style for _, line in shard.lines])


def sound_problem(path: Path, line: Line) -> str | None:
    """What is wrong with a line's file, or None: missing, another digest, another count of samples."""
    try:
        with path.open("rb") as file:
            info = streaminfo.parse(file.read(42))
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        return error.strerror or str(error)
    if size != line.bytes:
        return f"it has {size} bytes, the manifest says {line.bytes}"
    if digest != line.sha256:
        return f"its SHA-256 is {digest}"
    if info is None:
        return "it is not FLAC"
    said = (info.samples, info.sample_rate_hz, info.channels, info.pcm_md5)
    if said != (line.samples, line.sample_rate_hz, line.channels, line.pcm_md5):
        return (
            f"its header says {info.samples} samples at {info.sample_rate_hz} Hz, the manifest {line.samples}"
        )
    return None


class _Totals:
    def __init__(self) -> None:
        self.clips = self.bytes = self.samples = self.ms = 0
        self.by_split: dict[str, int] = {}
        self.digests = bytearray()

    def feed(self, line: Line) -> None:
        self.clips += 1
        self.bytes += line.bytes
        self.samples += line.samples
        self.ms += line.samples * 1000 // line.sample_rate_hz
        self.by_split[line.split] = self.by_split.get(line.split, 0) + 1
        self.digests.extend(bytes.fromhex(line.sha256))


def _check_files(folder: Path, head: Header, partial: bool) -> Iterator[Finding]:
    for name, entry in sorted(head.files.items()):
        path = folder / name
        if partial and name in _PARTIAL:
            if name != manifest.FILE_NAME:
                continue
            path = folder / STATE_FOLDER / name
        try:
            found = header.file_entry(path)
        except OSError as error:
            yield Finding(name, None, "RELEASE_INVALID", error.strerror or str(error))
            continue
        if found.bytes != entry.bytes:
            detail = f"it has {found.bytes} bytes, the header says {entry.bytes}"
            yield Finding(name, None, "RELEASE_INVALID", detail)
        elif found != entry:
            yield Finding(name, None, "RELEASE_INVALID", f"its SHA-256 is {found.sha256}")


def _check_signature(
    folder: Path, head: Header, raw: bytes, vkeys: Sequence[str], findings: list[Finding]
) -> str:
    try:
        note = (folder / header.NOTE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return "absent"
    except (OSError, UnicodeDecodeError) as error:
        findings.append(Finding(header.NOTE_NAME, None, "PULL_SIGNATURE_WRONG", str(error)))
        return "wrong"
    if not vkeys:
        return "not checked"
    wrong = [signature_problem(note, head, raw, vkey) for vkey in vkeys]
    if None not in wrong:
        findings.append(Finding(header.NOTE_NAME, None, "PULL_SIGNATURE_WRONG", str(wrong[0])))
        return "wrong"
    return "good"


def signature_problem(note: str, head: Header, raw: bytes, vkey: str) -> str | None:
    """What is wrong with a release's signed note, or None."""
    try:
        text = open_note(note, VerifierKey.parse(vkey), verify_ed25519)
    except ReceiptInvalid as error:
        return str(error.parameters.get("problem", error))
    return None if text == header.note_text(head, raw) else "it signs another release"


def _tombstones(folder: Path, findings: list[Finding]) -> set[str]:
    path = folder / header.TOMBSTONES_NAME
    try:
        stones = header.parse_tombstones(path.read_bytes(), header.TOMBSTONES_NAME)
    except FileNotFoundError:
        return set()  # named already, as a file that is missing
    except CodedError as error:
        findings.append(Finding(header.TOMBSTONES_NAME, None, error.code, str(error)))
        return set()
    return {stone.id for stone in stones}


def _lines(
    folder: Path, findings: list[Finding], mark: Mark | None, starts: array[int]
) -> Iterator[tuple[int, Line]]:
    """Good lines with their numbers, noting where they start; bad ones become findings."""
    path = folder / manifest.FILE_NAME
    whole = None
    if mark is not None:
        wanted = mark.wanted
        source = manifest.read_raw(folder / STATE_FOLDER / manifest.FILE_NAME)
        whole = (raw for raw, line in source if wanted.takes(line))
    before, end = "", 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                end += len(raw)
                if whole is not None and next(whole, None) != raw:
                    detail = "the line is not the one that the release has here"
                    findings.append(Finding(manifest.FILE_NAME, number, "MANIFEST_INVALID", detail))
                    whole = None
                try:
                    line = manifest.parse(raw.removesuffix(b"\n"), manifest.FILE_NAME, number)
                except ManifestInvalid as error:
                    detail = str(error.parameters["problem"])
                    findings.append(Finding(manifest.FILE_NAME, number, error.code, detail))
                    continue
                if line.id <= before or not raw.endswith(b"\n"):
                    detail = f"id {line.id} is out of order, twice there, or cut off"
                    findings.append(Finding(manifest.FILE_NAME, number, "MANIFEST_INVALID", detail))
                before = line.id
                starts.append(end - len(raw))
                yield number, line
    except OSError as error:
        findings.append(Finding(manifest.FILE_NAME, None, "RELEASE_INVALID", error.strerror or str(error)))
    if whole is not None and next(whole, None) is not None:
        detail = "wanted lines are missing at its end"
        findings.append(Finding(manifest.FILE_NAME, None, "MANIFEST_INVALID", detail))


def _check_totals(head: Header, totals: _Totals, partial: bool) -> Iterator[Finding]:
    if partial:
        return
    for what, found, said in (
        ("clips", totals.clips, head.counts.get("clips")),
        ("audio files", totals.clips, head.audio.files),
        ("audio bytes", totals.bytes, head.audio.bytes),
        ("samples", totals.samples, head.audio.samples),
        *((f"{name} clips", totals.by_split.get(name, 0), head.counts.get(name)) for name in manifest.SPLITS),
    ):
        if found != said:
            yield Finding(
                header.FILE_NAME, None, "RELEASE_INVALID", f"it counts {said} {what}, there are {found}"
            )


def _strangers(folder: Path, totals: _Totals) -> Iterator[Finding]:
    """Sounds that no line names, such as what was withdrawn and not deleted."""
    there = sum(1 for _ in (folder / "audio").glob("*/*"))
    if there <= totals.clips:
        return
    known = {manifest.audio_path(digest.hex()) for digest in _in_order(totals.digests)}
    for path in sorted((folder / "audio").glob("*/*")):
        name = path.relative_to(folder).as_posix()
        if name not in known:
            yield Finding(name, None, "RELEASE_INVALID", "no line of the manifest names it")


def _check_sums(head: Header, totals: _Totals) -> Iterator[Finding]:
    if sums_entry(head.files, totals.digests) != head.files.get(header.SUMS_NAME):
        yield Finding(header.SUMS_NAME, None, "RELEASE_INVALID", "it does not list what the release holds")


def sums_entry(files: Mapping[str, FileEntry], digests: bytes | bytearray) -> FileEntry:
    """Digest and size of the ``SHA256SUMS`` that a release with these files and sounds must have."""
    digest, size = hashlib.sha256(), 0
    for row in sums_lines(files, digests):
        digest.update(row)
        size += len(row)
    return FileEntry(digest.hexdigest(), size)


def sums_lines(files: Mapping[str, FileEntry], digests: bytes | bytearray) -> Iterator[bytes]:
    """The lines of ``SHA256SUMS``, sorted by path: every file but itself, the header and its note.

    `digests` holds those of the sounds one after the other, in any order.
    """
    small = sorted(name for name in files if name != header.SUMS_NAME)
    split = next((place for place, name in enumerate(small) if name > "audio/"), len(small))
    for name in small[:split]:
        yield f"{files[name].sha256}  {name}\n".encode()
    for digest in _in_order(digests):
        yield f"{digest.hex()}  {manifest.audio_path(digest.hex())}\n".encode()
    for name in small[split:]:
        yield f"{files[name].sha256}  {name}\n".encode()


def _in_order(digests: bytes | bytearray) -> Iterator[bytes]:
    """The digests, sorted; a 256th of them is held as values at a time."""
    import numpy as np

    rows = np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST_BYTES)
    for begin in range(256):
        yield from sorted(row.tobytes() for row in rows[rows[:, 0] == begin])
