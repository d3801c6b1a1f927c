"""One call: samples to `Measurement`. The same code judges on the speaker's laptop and on the server."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from noise_profiles import channels, defects, levels, scan, snr, vad
from noise_profiles.frames import FrameStream
from noise_profiles.samples import (
    SampleRateUnsupported,
    Samples,
    SignalEmpty,
    SignalError,
    SignalNotFinite,
    SignalShapeWrong,
    SignalTypeWrong,
    as_samples,
    checked_rate,
)
from noise_profiles.stretches import runs
from protocol.clip import AudioFinding, RoomTone

__all__ = [
    "METHOD",
    "Measurement",
    "Meter",
    "SampleRateUnsupported",
    "SignalEmpty",
    "SignalError",
    "SignalNotFinite",
    "SignalShapeWrong",
    "SignalTypeWrong",
    "measure",
    "room_tone",
    "warm",
]

METHOD = "xiangyin-3"  # changes whenever the numbers could
LEAD_IN_GUARD_S = 0.05  # a speaker may draw breath as the lead-in ends


@dataclass(frozen=True)
class Measurement:
    """What one method heard in one clip.

    Levels of a clip of several channels are those of its worst channel: the one with the lowest SNR
    among those in which somebody speaks. `speech_dbfs` and the SNR are None where nobody does.
    """

    method: str  # e.g. "xiangyin-3"; changes whenever the numbers could
    duration_s: float
    samples: int
    sample_rate_hz: int
    channels: int
    peak_dbfs: float
    speech_dbfs: float | None
    noise_dbfs: float
    noise_dba: float | None
    noise_dba_fs: float
    snr_db: float | None
    snr_low_db: float | None
    snr_high_db: float | None
    speech_s: float
    segments: tuple[tuple[int, int], ...]
    noise_source: str
    defects: tuple[AudioFinding, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON: segments in seconds, levels with two decimals, the method last."""
        rate_hz = self.sample_rate_hz
        return {
            "duration_s": round(self.duration_s, 6),
            "samples": self.samples,
            "sample_rate_hz": rate_hz,
            "channels": self.channels,
            "peak_dbfs": _short(self.peak_dbfs),
            "speech_dbfs": _short(self.speech_dbfs),
            "noise_dbfs": _short(self.noise_dbfs),
            "noise_dba": _short(self.noise_dba),
            "noise_dba_fs": _short(self.noise_dba_fs),
            "snr_db": _short(self.snr_db),
            "snr_low_db": _short(self.snr_low_db),
            "snr_high_db": _short(self.snr_high_db),
            "speech_s": round(self.speech_s, 3),
            "segments": [[round(a / rate_hz, 6), round(b / rate_hz, 6)] for a, b in self.segments],
            "noise_source": self.noise_source,
            "defects": [
                {
                    "code": d.code,
                    "severity": d.severity,
                    "value": d.value,
                    "limit": d.limit,
                    "start_s": d.start_s,
                    "end_s": d.end_s,
                    "parameters": dict(d.parameters),
                }
                for d in self.defects
            ],
            "method": self.method,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """Read what `as_json` wrote. For stored figures of our own: what a client sends is measured again.

        Raises
        ------
        KeyError, TypeError
            If a field is missing or of another shape.
        """
        row = dict(data)
        rate_hz = int(row["sample_rate_hz"])
        row["segments"] = tuple((round(a * rate_hz), round(b * rate_hz)) for a, b in row["segments"])
        row["defects"] = tuple(AudioFinding(**one) for one in row["defects"])
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


def _short(level: float | None) -> float | None:
    return None if level is None else round(level, 2)


class Meter:
    """Measures a stream; `measure` is one feed of it. No cutting into blocks changes a figure.

    Memory grows by about 180 bytes for each 10 ms and channel, and `finish` takes half as much again for a
    moment: three hours of one channel stay under 350 MB, whatever their rate.

    Parameters
    ----------
    sample_rate_hz, channels : int
        Of everything that will be fed.
    lead_in_s : float
        How much of the start is known to hold no speech.
    room_tone : RoomTone or None
        The session's, used where the clip has no lead-in of its own.
    calibration_offset_db : float or None
        dB SPL of a sine that reads 0 dBFS; gives `noise_dba`.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        channels: int = 1,
        *,
        lead_in_s: float = 0.0,
        room_tone: RoomTone | None = None,
        calibration_offset_db: float | None = None,
    ) -> None:
        self._rate_hz = checked_rate(sample_rate_hz)
        self._channels = channels
        self._lead_in_s = lead_in_s if math.isfinite(lead_in_s) and lead_in_s > 0.0 else 0.0
        self._room_tone = room_tone
        self._offset_db = calibration_offset_db
        self._scans = [scan.SampleScan(self._rate_hz) for _ in range(channels)]
        self._streams = [FrameStream(self._rate_hz, one.look) for one in self._scans]
        self._samples = 0

    def feed(self, block: object) -> None:
        """Take the next samples, shape (n,) or (n, channels).

        Raises
        ------
        SignalError
            If they are no sound; the stream is not to be used any more then.
        """
        x = as_samples(block, first=self._samples)
        if x.shape[1] != self._channels:
            raise SignalShapeWrong(shape=str(x.shape), most=self._channels)
        self.feed_samples(x)

    def feed_samples(self, x: Samples) -> None:
        """The same with what `as_samples` gave, of as many channels as this meter has."""
        self._samples += x.shape[0]
        for channel in range(self._channels):
            self._streams[channel].feed(np.ascontiguousarray(x[:, channel]))

    def finish(self) -> Measurement:
        """The measurement of everything that was fed.

        Raises
        ------
        SignalEmpty
            If that was nothing.
        """
        if self._samples == 0:
            raise SignalEmpty()
        guard_s = LEAD_IN_GUARD_S if self._lead_in_s > 4 * LEAD_IN_GUARD_S else 0.0
        tone = self._room_tone
        background = (
            (levels.mean_square(tone.noise_dbfs), levels.mean_square(tone.noise_dba_fs)) if tone else None
        )
        heard: list[defects.Heard] = []
        for stream, samples in zip(self._streams, self._scans, strict=True):
            frames = stream.finish()
            lead_in = min(len(frames), int(100 * (self._lead_in_s - guard_s) + 1e-6))
            found = snr.estimate(frames, lead_in=lead_in, room_tone=background)
            heard.append(defects.Heard(self._rate_hz, samples.finish(), frames, found))
        snrs_db = [one.estimate.snr_db for one in heard]
        figures = min(range(len(heard)), key=lambda n: math.inf if (snr_db := snrs_db[n]) is None else snr_db)
        worst = heard[figures].estimate
        hop = self._rate_hz / 100
        segments = tuple((round(a * hop), min(self._samples, round(b * hop))) for a, b in runs(worst.active))
        offset_db = self._offset_db
        return Measurement(
            method=METHOD,
            duration_s=self._samples / self._rate_hz,
            samples=self._samples,
            sample_rate_hz=self._rate_hz,
            channels=self._channels,
            peak_dbfs=max(one.scanned.peak_dbfs for one in heard),
            speech_dbfs=worst.speech_dbfs,
            noise_dbfs=worst.noise_dbfs,
            noise_dba=None if offset_db is None else worst.noise_dba_fs + offset_db,
            noise_dba_fs=worst.noise_dba_fs,
            snr_db=worst.snr_db,
            snr_low_db=worst.snr_low_db,
            snr_high_db=worst.snr_high_db,
            speech_s=float(worst.active.sum()) / 100,
            segments=segments,
            noise_source=worst.source,
            defects=_once_each(heard, figures),
        )


def _once_each(heard: list[defects.Heard], figures: int) -> tuple[AudioFinding, ...]:
    """The defects of all channels, each code once: from the channel of the `figures`, if it is there.

    One from elsewhere names its channel, counted from 1, since its value would belie the figures. What
    refuses comes before what warns. A channel without speech is no fault where another has some.
    """
    somebody = any(one.estimate.snr_db is not None for one in heard)
    found: dict[str, AudioFinding] = {}
    for number in sorted(range(len(heard)), key=lambda n: n != figures):
        one = heard[number]
        for finding in defects.findings(one):
            if finding.code == "speech.none" and somebody and one.estimate.snr_db is None:
                continue
            known = found.get(finding.code)
            if known is None or (known.severity == "warning" and finding.severity == "error"):
                if number != figures:
                    finding = replace(finding, parameters={**finding.parameters, "channel": number + 1})
                found[finding.code] = finding
    for finding in channels.findings(heard):
        found[finding.code] = finding
    return tuple(found.values())


def measure(
    samples: object,
    sample_rate_hz: int,
    *,
    lead_in_s: float = 0.0,
    room_tone: RoomTone | None = None,
    calibration_offset_db: float | None = None,
) -> Measurement:
    """Measure a whole clip.

    Parameters
    ----------
    samples : array_like, shape (n,) or (n, channels)
        float in [-1, 1], or int8, int16, int32, uint8 over their range.
    sample_rate_hz : int
        8000 to 384000.
    lead_in_s, room_tone, calibration_offset_db
        As for `Meter`.

    Raises
    ------
    SignalError
        If the array is empty, holds NaN or infinity, or is no sound. Silence, one sample, a constant
        and the like are measured; none of the figures is ever NaN.
    """
    x = as_samples(samples)
    meter = Meter(
        sample_rate_hz,
        x.shape[1],
        lead_in_s=lead_in_s,
        room_tone=room_tone,
        calibration_offset_db=calibration_offset_db,
    )
    meter.feed_samples(x)
    return meter.finish()


def room_tone(samples: object, sample_rate_hz: int) -> RoomTone:
    """The noise of the room, from sound in which nobody speaks; of several channels the loudest.

    Its third octaves are `spectrum.third_octaves`, which a speaker need not wait for.

    Raises
    ------
    SignalError
        As `measure`.
    """
    x = as_samples(samples)
    if x.shape[0] == 0:
        raise SignalEmpty()
    rate_hz = checked_rate(sample_rate_hz)
    figures = []
    for channel in range(x.shape[1]):
        stream = FrameStream(rate_hz)
        stream.feed(np.ascontiguousarray(x[:, channel]))
        frames = stream.finish()
        power = float(frames.power.mean(dtype=np.float64)) if len(frames) else 0.0
        a_weighted = float(frames.a_weighted.mean(dtype=np.float64)) if len(frames) else 0.0
        figures.append((levels.dbfs(power), levels.dbfs(a_weighted)))
    return RoomTone(*max(figures), x.shape[0] / rate_hz, METHOD)


def warm(*, live: bool = True) -> None:
    """Load and run everything that judges a clip once, so that nobody waits for it later.

    `live` adds the meter that a microphone needs and a server does not; its filters take a second to load.
    Safe to call from a thread. It leaves librosa alone, which takes seconds: that is `spectrum.warm`.
    """
    hiss = np.random.default_rng(0).standard_normal(48_000).astype(np.float32) * np.float32(0.01)
    for rate_hz in (16_000, 44_100):
        measure(hiss, rate_hz)
    if live:
        levels.LevelMeter(16_000).feed(hiss[:320])
        vad.SpeechDetector(48_000).feed(hiss)
