"""Speech from text at run time, by espeak-ng's library as the registry ships it.

It is no dialect speaker: it gives sound with the time pattern of speech, in several voices, so that
every figure the walk prints was measured on sound and none was stored.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.errors import CodedError

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_UTF8 = 1  # espeakCHARS_UTF8
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class SpeechMissing(CodedError):
    """The synthesiser is not installed or knows no such voice."""

    code = "DEMO_SPEECH_MISSING"


class Synthesiser:
    """One espeak-ng, which has one state for the whole process.

    Parameters
    ----------
    sample_rate_hz : int
        Rate of what `speak` returns; espeak-ng's own is converted by soxr.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        try:
            import espeakng_loader
        except ModuleNotFoundError as error:
            raise SpeechMissing(problem="espeakng-loader is not installed") from error
        self.sample_rate_hz = sample_rate_hz
        self._library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        data = str(espeakng_loader.get_data_path()).encode()
        self._own_rate_hz = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0))
        if self._own_rate_hz <= 0:
            raise SpeechMissing(problem="espeak-ng did not start")
        self._blocks: list[NDArray[np.int16]] = []
        self._callback = _CALLBACK(self._on_sound)
        self._library.espeak_SetSynthCallback(self._callback)

    def _on_sound(self, samples: Any, count: int, _events: object) -> int:
        if samples and count > 0:
            self._blocks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    def speak(self, text: str, voice: str, parameters: Mapping[str, int]) -> NDArray[np.float64]:
        """Speech for `text`.

        Parameters
        ----------
        text : str
            What is said.
        voice : str
            espeak-ng's name of a voice and a variant: ``yue+f2``.
        parameters : mapping
            ``words_per_minute``, ``pitch`` (0 to 100) and ``pitch_range`` (0 to 100); each may be left out.

        Returns
        -------
        ndarray, shape (n_samples,)
            In [-1, 1], at `sample_rate_hz`, without silence at either end.
        """
        import soxr

        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise SpeechMissing(problem=f"there is no voice {voice}")
        for name, number, usual in (
            ("words_per_minute", _RATE, 165),
            ("pitch", _PITCH, 50),
            ("pitch_range", _RANGE, 50),
        ):
            self._library.espeak_SetParameter(number, parameters.get(name, usual), 0)
        self._blocks = []
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._blocks:
            raise SpeechMissing(problem=f"{voice} said nothing for {text}")
        sound = np.concatenate(self._blocks).astype(np.float64) / 32768.0
        loud = np.flatnonzero(np.abs(sound) > 1e-3)
        sound = sound[loud[0] : loud[-1] + 1]
        resampled: NDArray[np.float64] = soxr.resample(sound, self._own_rate_hz, self.sample_rate_hz)
        return resampled
