"""Noise that is played into the room until the microphone hears the band that a grade asks for.

Threads. PortAudio runs `Player._on_block` on its own audio thread: it takes the next samples of a loop,
multiplies them with a gain that moves slowly, and returns. The recording thread feeds `RoomNoise` with
what the microphone heard and sets the gain: one number with one writer, so there is no lock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels, signals
from recorder import servo
from recorder.capture import DeviceFailed, portaudio

LOOP_S = 20.0
START_DBFS = -35.0  # soft enough to frighten nobody, 20 dB from most targets
VOICE_SPREAD_DB = 6.0  # between the loud and the soft moments of half a second: speech has 10 and more
_BLOCK_S = 0.04
_LATENCY_S = 0.25  # a hole in the noise sounds like speech to the detector; delay costs the servo little
_GLIDE_S = 0.05  # time constant of the gain: well within a servo's step, too slow to click


class Loudspeaker(Protocol):
    """What plays the loop."""

    def set_gain_db(self, gain_db: float) -> None:
        """Move to this gain, without a click."""
        ...

    def close(self) -> None:
        """Fall silent."""
        ...


class Player:
    """A loop of noise on an output device.

    Raises
    ------
    DeviceFailed
        If the device does not open.
    """

    def __init__(self, noise: NDArray[np.float32], sample_rate_hz: int, device: int | None = None) -> None:
        sounddevice = portaudio()
        self._loop = signals.Loop(noise)
        self._rate_hz = sample_rate_hz
        self._wanted_factor = 0.0
        self._factor = 0.0
        self.underruns = 0
        self._fade_ms = round(1000 * (5 * _GLIDE_S + _LATENCY_S))
        self._sleep_ms = sounddevice.sleep
        try:
            self._stream = sounddevice.OutputStream(
                device=device,
                samplerate=sample_rate_hz,
                channels=1,
                dtype="float32",
                blocksize=round(_BLOCK_S * sample_rate_hz),
                latency=_LATENCY_S,
                callback=self._on_block,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise DeviceFailed(
                device="default" if device is None else str(device), problem=str(error.args[0])
            ) from error

    def set_gain_db(self, gain_db: float) -> None:
        """Move to this gain over the next moments."""
        self._wanted_factor = 10.0 ** (gain_db / 20.0)

    def close(self) -> None:
        """Stop, after falling silent."""
        self._wanted_factor = 0.0
        self._sleep_ms(self._fade_ms)
        self._stream.stop()
        self._stream.close()

    def _on_block(self, outdata: Any, frames: int, _time: Any, status: Any) -> None:
        """Runs on the audio thread: nothing here may block or allocate much."""
        self.underruns += bool(status.output_underflow)
        before = self._factor
        approach = 1.0 - math.exp(-frames / (_GLIDE_S * self._rate_hz))
        self._factor += approach * (self._wanted_factor - before)
        ramp = np.linspace(before, self._factor, frames, dtype=np.float32)
        np.clip(self._loop.block(frames) * ramp, -1.0, 1.0, out=outdata[:, 0])


class RoomNoise:
    """Holds the room's noise at a level while nobody speaks.

    Parameters
    ----------
    kind : str
        One of `signals.NOISES`.
    open_player : callable
        Gives the loudspeaker for a loop.
    target_dbfs : float
        What the microphone is to hear between words.
    """

    def __init__(
        self,
        kind: str,
        sample_rate_hz: int,
        target_dbfs: float,
        open_player: Callable[[NDArray[np.float32], int], Loudspeaker],
        *,
        seed: int = 0,
        calibration_offset_db: float | None = None,
    ) -> None:
        self.target_dbfs = servo.safe_target_dbfs(target_dbfs, calibration_offset_db)
        self._noise = signals.NOISES[kind](round(LOOP_S * sample_rate_hz), sample_rate_hz, seed)
        self._rate_hz = sample_rate_hz
        self._open_player = open_player
        made_dbfs = levels.rms_dbfs(self._noise)
        peak_db = 20.0 * math.log10(float(np.abs(self._noise).max()))
        self._limits = servo.Limits(lowest_db=-60.0 - made_dbfs, highest_db=-peak_db)
        self._first_db = min(self._limits.highest_db, START_DBFS - made_dbfs)
        self._player: Loudspeaker | None = None
        self._heard_db: list[float] = []
        self._spoke = False
        self._frozen_s = 0.0
        self.servo = servo.Servo(self._first_db)

    @property
    def playing(self) -> bool:
        """Whether the loudspeaker is on."""
        return self._player is not None

    @property
    def settling(self) -> bool:
        """Whether the level is still being approached."""
        return self.playing and self.servo.phase == "settling"

    def start(self) -> None:
        """Begin softly."""
        if self._player is None:
            self.servo = servo.Servo(self._first_db)
            self._heard_db, self._spoke, self._frozen_s = [], False, 0.0
            self._player = self._open_player(self._noise, self._rate_hz)
            self._player.set_gain_db(self.servo.gain_db)

    def stop(self) -> None:
        """Be silent, at once and for good until `start`."""
        if self._player is not None:
            self._player.close()
            self._player = None

    def hear(self, levels_db: NDArray[np.float64], speaking: bool) -> bool:
        """Take what the microphone heard, one level each 10 ms; whether the phase has changed."""
        if self._player is None:
            return False
        before = self.servo.phase
        for level_db in levels_db.tolist():
            self._heard_db.append(level_db)
            self._spoke = self._spoke or speaking
            if len(self._heard_db) == round(100 * servo.STEP_S):
                self._step()
                if not self.playing:
                    break
        return self.servo.phase != before

    def _step(self) -> None:
        """Half a second was heard."""
        heard_db, spoke = self._heard_db, self._spoke
        self._heard_db, self._spoke = [], False
        # A detector may take our own noise for a voice; but noise is even and a voice is not.
        spread_db = float(np.percentile(heard_db, 90) - np.percentile(heard_db, 10))
        spoke = spoke and spread_db > VOICE_SPREAD_DB
        self._frozen_s = self._frozen_s + servo.STEP_S if spoke else 0.0
        mean_dbfs = levels.dbfs(sum(map(levels.mean_square, heard_db)) / len(heard_db))
        self.servo = servo.step(self.servo, mean_dbfs, self.target_dbfs, self._limits, speaking=spoke)
        if self.servo.phase == "settling" and self._frozen_s >= servo.PATIENCE_S:
            self.servo = replace(self.servo, phase="gave_up", reason="unsteady")  # nobody waits for ever
        if self.servo.phase == "gave_up":
            self.stop()
        elif self._player is not None:
            self._player.set_gain_db(self.servo.gain_db)

    def notice(self) -> tuple[str, dict[str, object]]:
        """What to tell the speaker: a key of ``wording.toml`` and its parameters."""
        figures: dict[str, object] = {"gain_db": self.servo.gain_db, "target_dbfs": self.target_dbfs}
        if self.servo.reason is not None:
            return f"playback.{self.servo.reason}", figures
        return (f"playback.{self.servo.phase}" if self.playing else "playback.off"), figures
