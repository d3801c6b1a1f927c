"""Third octaves of the room tone, found beside the recording: librosa takes seconds to load; nobody waits."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from noise_profiles import measure, spectrum
from protocol.clip import RoomTone

_UNNOTICED_S = 0.1  # once librosa is loaded it takes a twentieth of that


def warm() -> None:
    """Load what hearing needs in a thread, while the speaker reads and the room is listened to."""

    def load() -> None:
        measure.warm()
        spectrum.warm()

    threading.Thread(target=load, daemon=True, name="warm").start()


class RoomSpectrum:
    """The room tone of a session: its levels at once, its third octaves as soon as they are there.

    Parameters
    ----------
    tone : RoomTone
        What was measured already.
    samples : ndarray, shape (n,)
        The sound it rests on; of less than `spectrum.LEAST_S` no third octaves are taken.
    live : bool
        Whether somebody is there. A file waits until all is found, so that it comes out alike each time.
    """

    def __init__(self, tone: RoomTone, samples: NDArray[Any], sample_rate_hz: int, *, live: bool) -> None:
        self.tone = tone
        if samples.shape[0] < spectrum.LEAST_S * sample_rate_hz:
            return
        # A daemon, so that who ends early does not wait for a library that is no longer needed.
        finding = threading.Thread(
            target=self._find, args=(samples, sample_rate_hz), daemon=True, name="room spectrum"
        )
        finding.start()
        finding.join(_UNNOTICED_S if live else None)

    def _find(self, samples: NDArray[Any], sample_rate_hz: int) -> None:
        try:
            levels_dbfs = tuple(spectrum.third_octaves(samples, sample_rate_hz).values())
        except ImportError as error:
            logging.getLogger(__name__).warning("no third octaves of this room: %s", error)
            return
        self.tone = replace(self.tone, third_octaves_dbfs=levels_dbfs)
