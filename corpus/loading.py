"""``corpus.load``: a release as a sequence of clips in Python, the sound decoded when it is asked for.

Needs the extra ``pull`` and none of the server's libraries.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import urlsplit

import msgspec

from corpus import header, manifest
from corpus.dataset import Copy, Facts, Wanted, open_copy
from corpus.manifest import Line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Clip:
    """One utterance: its manifest line, and where its sound lies.

    Attributes
    ----------
    line : Line
        Every field of the manifest: ``clip.line.snr_db``, ``clip.line.dialect``, …
    path : Path
        The FLAC file.
    """

    line: Line
    path: Path

    @property
    def id(self) -> str:
        """The utterance's id, which begins with its speaker's."""
        return self.line.id

    @property
    def text(self) -> str:
        """The transcript."""
        return self.line.text

    @property
    def audio(self) -> NDArray[np.float32]:
        """The sound, decoded now: shape (n,) for one channel, (n, channels) for more; full scale is 1.

        Raises
        ------
        ReleaseInvalid
            If the file does not hold the samples that the manifest counts.
        """
        import soundfile

        data: Any
        try:
            data, rate = soundfile.read(self.path, dtype="float32")
        except (soundfile.SoundFileError, OSError) as error:
            raise header.ReleaseInvalid(file=str(self.path), problem=str(error)) from error
        if len(data) != self.line.samples or rate != self.line.sample_rate_hz:
            found = f"{len(data)} samples at {rate} Hz, the manifest says {self.line.samples}"
            raise header.ReleaseInvalid(file=str(self.path), problem=found)
        array: NDArray[np.float32] = data
        return array

    samples = audio

    @property
    def sample_rate_hz(self) -> int:
        """Samples a second."""
        return self.line.sample_rate_hz

    @property
    def duration_s(self) -> float:
        """Length of the sound."""
        return self.line.duration_s


class Clips(Sequence[Clip]):
    """The wanted clips of a copy in the order of their ids: iterate, index, slice, filter, count.

    Nothing is read before it is needed. Counting and indexing read the manifest once and keep eight bytes
    a clip; iterating streams. It can be given to a data loader as it is, and pickled into its workers.
    """

    def __init__(self, copy: Copy, wanted: Wanted, *, keep: Callable[[Line], bool] | None = None) -> None:
        self.copy = copy
        self._wanted = wanted
        self._keep = keep
        self._offsets: array[int] | None = None

    @property
    def release(self) -> header.Header:
        """The release's header: name, revision, licences, counts, hours."""
        return self.copy.header

    def filter(self, keep: Callable[[Line], bool]) -> Clips:
        """Only the clips whose line `keep` says yes to."""
        if self._offsets is not None:
            kept = (o for o, clip in zip(self._offsets, self, strict=True) if keep(clip.line))
            return self._of(array("Q", kept))
        before = self._keep
        both = keep if before is None else lambda line: before(line) and keep(line)
        return Clips(self.copy, self._wanted, keep=both)

    def __iter__(self) -> Iterator[Clip]:
        if self._offsets is not None:
            return (self[place] for place in range(len(self._offsets)))
        return (self._clip(line) for _, line in self._lines())

    def __len__(self) -> int:
        return len(self._index())

    @overload
    def __getitem__(self, place: int) -> Clip: ...
    @overload
    def __getitem__(self, place: slice) -> Clips: ...
    def __getitem__(self, place: int | slice) -> Clip | Clips:
        if isinstance(place, slice):
            return self._of(self._index()[place])
        offset = self._index()[place]
        with self._manifest.open("rb") as file:
            file.seek(offset)
            raw = file.readline()
        return self._clip(manifest.parse(raw.removesuffix(b"\n"), str(self._manifest), place + 1))

    def __repr__(self) -> str:
        head = self.release
        return f"<clips of {head.name} revision {head.revision} in {self.copy.folder}>"

    @property
    def _manifest(self) -> Path:
        return self.copy.folder / manifest.FILE_NAME

    def _clip(self, line: Line) -> Clip:
        return Clip(line, self.copy.audio(line))

    def _lines(self) -> Iterator[tuple[int, Line]]:
        """The wanted lines, and where each begins in the file."""
        offset = 0
        for raw, line in manifest.read_raw(self._manifest):
            if self._wanted.takes(line) and (self._keep is None or self._keep(line)):
                yield offset, line
            offset += len(raw)

    def _index(self) -> array[int]:
        if self._offsets is None:
            found = _scanned(self._manifest, self._wanted) if self._keep is None else self._lines()
            self._offsets = array("Q", (offset for offset, _ in found))
        return self._offsets

    def _of(self, offsets: array[int]) -> Clips:
        """Those of our clips whose lines begin there."""
        return _restored(self.copy, self._wanted, offsets)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.copy, self._wanted, self._index())  # a filter's function need not travel


def _scanned(path: Path, wanted: Wanted) -> Iterator[tuple[int, object]]:
    """Where the wanted lines begin: five times as soon as by reading them in full, as is done when taken."""
    decode = msgspec.json.Decoder(Facts).decode
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                facts = decode(raw)
            except msgspec.MsgspecError as error:
                raise manifest.ManifestInvalid(file=str(path), line=number, problem=str(error)) from error
            if wanted.takes(facts):
                yield offset, facts
            offset += len(raw)


def _restored(copy: Copy, wanted: Wanted, offsets: array[int]) -> Clips:
    made = Clips(copy, wanted)
    made._offsets = offsets
    return made


def load(
    folder_or_url: str | Path,
    *,
    split: str | None = None,
    grade: str | None = None,
    language: str | None = None,
    min_snr_db: float | None = None,
    dialect: str | None = None,
    token: str | None = None,
    cache: str | Path | None = None,
) -> Clips:
    """The clips of a release: of a folder as `xiangyin pull` leaves it, or of an address, pulled first.

    Parameters
    ----------
    folder_or_url : str or Path
        A release or pulled copy, or ``https://…/releases/NAME``. Of an address only the wanted clips are
        fetched; called again, one small request finds whether anything changed or was withdrawn.
    split : str, optional
        ``train``, ``dev`` or ``test``.
    grade : str, optional
        ``quiet``, ``moderate`` or ``noisy``.
    language : str, optional
        A BCP 47 tag; ``nan`` takes ``nan-Hant-TW`` too.
    min_snr_db : float, optional
        Only clips with at least this signal-to-noise ratio.
    dialect : str, optional
        In the speakers' words, or a Glottocode.
    token : str, optional
        A team's token; otherwise ``XIANGYIN_TOKEN``.
    cache : str or Path, optional
        Where copies of addresses are kept; otherwise ``XIANGYIN_CACHE``, or ``xiangyin`` in the user's
        cache folder.

    Raises
    ------
    CodedError
        If the copy is incomplete, the address cannot be read, or what it gives is not what it promised.

    Examples
    --------
    >>> for clip in corpus.load("copy", split="train"):          # doctest: +SKIP
    ...     train(clip.audio, clip.sample_rate_hz, clip.text)
    """
    wanted = Wanted(split=split, grade=grade, language=language, min_snr_db=min_snr_db, dialect=dialect)
    if urlsplit(str(folder_or_url)).scheme not in ("http", "https"):
        return Clips(open_copy(Path(folder_or_url)), wanted)
    folder = _pulled(str(folder_or_url), wanted, token or os.environ.get("XIANGYIN_TOKEN"), cache)
    return Clips(open_copy(folder), wanted)


def cache_folder(cache: str | Path | None = None) -> Path:
    """Where copies of addresses are kept."""
    chosen = cache or os.environ.get("XIANGYIN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "xiangyin"


def _pulled(url: str, wanted: Wanted, token: str | None, cache: str | Path | None) -> Path:
    """The up-to-date copy of the wanted clips; several processes may ask at once, and one fetches."""
    from corpus import sources
    from corpus.pull import pull

    source, name = sources.parse(url, token)
    key = hashlib.sha256(msgspec.json.encode([source.address, name, wanted])).hexdigest()[:16]
    shown = re.sub(r"[^A-Za-z0-9._-]", "-", name or urlsplit(url).hostname or "release")[:64]
    folder = cache_folder(cache) / f"{shown}.{key}"
    progress = None
    if sys.stderr.isatty():
        from corpus.progress import Bar

        progress = Bar(sys.stderr)
    pull(source, folder, name=name, wanted=wanted, progress=progress, patient=True)
    return folder
