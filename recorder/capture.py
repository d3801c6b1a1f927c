"""Where sound comes in: a microphone, or a file that plays the microphone.

Threads. PortAudio runs `DeviceSource._on_block` on its own audio thread: it copies the block, puts it into
a queue, counts, and returns; it never waits, logs, writes or takes a lock that others hold for long. Whoever
iterates `Source.blocks` is the *recording thread*: it may block, on the queue and on the disk; a queue of
half a minute lies between the two. `FileSource` has no thread: the caller's pace is its pace.

Lost sound is never patched. A block says how many samples are known to be missing just before it, and
how that was noticed: the driver's flag, a full queue, or the clock (see `recorder.gaps`).
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from protocol.errors import CodedError
from recorder import soundfiles
from recorder.gaps import FrameClock

RATES_HZ = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000)  # those that the intake takes
BLOCK_S = 0.01

Channel = int | Literal["mix"]


class ChannelUndecided(CodedError):
    """Several different channels, and nobody said which one is meant."""

    code = "CHANNEL_UNDECIDED"


class ChannelMissing(CodedError):
    """A channel was asked for that is not there."""

    code = "CHANNEL_MISSING"


class SoundSystemMissing(CodedError):
    """No PortAudio."""

    code = "SOUND_SYSTEM_MISSING"


class DeviceFailed(CodedError):
    """The device is there and does not open."""

    code = "DEVICE_FAILED"


class DeviceStopped(CodedError):
    """The device gives no more sound."""

    code = "DEVICE_STOPPED"


@dataclass(frozen=True)
class Block:
    """A piece of sound, mono, 16 bit.

    Attributes
    ----------
    start_sample : int
        Position among the samples that *arrived*; blocks follow each other without a hole.
    lost_samples : int
        Samples known to be missing just before this block, 0 if none or if the number is unknown.
    gap : str or None
        How a gap was noticed: ``overflow``, ``dropped``, ``late`` or ``ahead``; None if there is none.
    """

    samples: NDArray[np.int16]
    start_sample: int
    lost_samples: int = 0
    gap: str | None = None


class Source(Protocol):
    """A microphone, real or played by a file."""

    @property
    def name(self) -> str:
        """What to call it before people."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Of the blocks."""
        ...

    @property
    def live(self) -> bool:
        """Whether sound comes at its own pace and is lost if nobody takes it."""
        ...

    def blocks(self) -> Iterator[Block]:
        """The sound from now on, until `stop` or the end."""
        ...

    def stop(self) -> None:
        """End the iteration, after what has already arrived; from any thread."""
        ...


class FileSource:
    """A file that plays the microphone, block by block.

    The sampling rate stays as it is where the intake takes it; otherwise it goes *down* to the next that
    is taken, so that a clip never claims a bandwidth that it does not have.

    Parameters
    ----------
    path : Path
        Anything that libsndfile reads.
    channel : int, "mix" or None
        Counted from 0; "mix" for the mean of all. None is enough where there is one channel or all are equal.

    Raises
    ------
    ChannelUndecided, ChannelMissing
        If the channel is not clear.
    CodedError
        As `soundfiles.inspect` finds.
    """

    live = False

    def __init__(self, path: Path, *, channel: Channel | None = None, block_s: float = BLOCK_S) -> None:
        self.info = soundfiles.inspect(path)
        self.name = path.name
        self.sample_rate_hz = rate_for(self.info.sample_rate_hz)
        self._channel = _chosen(self.info, channel)
        self._block_samples = max(1, round(block_s * self.sample_rate_hz))
        self._stopped = False

    def blocks(self) -> Iterator[Block]:
        """The file's sound, from its first sample to its last."""
        position = 0
        for samples in soundfiles.read_blocks(
            self.info, self._channel, self.sample_rate_hz, self._block_samples
        ):
            if self._stopped:
                return
            yield Block(samples, position)
            position += samples.size

    def stop(self) -> None:
        """End the iteration."""
        self._stopped = True


def rate_for(rate_hz: int) -> int:
    """The highest rate of `RATES_HZ` that is not above `rate_hz`."""
    return next(rate for rate in RATES_HZ if rate <= rate_hz)


def _chosen(info: soundfiles.SoundFileInfo, channel: Channel | None) -> int | None:
    if channel == "mix":
        return None
    if channel is None:
        if info.channels > 1 and not info.same_channels:
            raise ChannelUndecided(file=str(info.path), channels=info.channels)
        return 0
    if not 0 <= channel < info.channels:
        raise ChannelMissing(file=str(info.path), channels=info.channels, channel=channel + 1)
    return channel


class DeviceSource:
    """A microphone through PortAudio.

    Parameters
    ----------
    device : int or None
        As `recorder.devices.find_device` gives it, or the system's default input.
    name : str
        What to call it before people.
    sample_rate_hz : int
        One of `RATES_HZ`.
    channel : int
        Which of the device's channels, counted from 0.
    queue_s : float
        How much sound may wait for the recording thread before it is dropped, and counted.
    silent_s : float
        A device that gives nothing for so long has stopped.
    clock : callable
        A steady clock in seconds; PortAudio's own time is zero on some systems.
    """

    live = True

    def __init__(
        self,
        device: int | None = None,
        *,
        name: str = "default",
        sample_rate_hz: int = 48_000,
        channel: int = 0,
        block_s: float = BLOCK_S,
        queue_s: float = 30.0,
        silent_s: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._clock = clock
        self._channel = channel
        self._silent_s = silent_s
        self._block_frames = round(block_s * sample_rate_hz)
        # (samples, the driver's overflow flag, time of arrival, frames dropped so far)
        self._queue: queue.Queue[tuple[NDArray[np.int16], bool, float, int]] = queue.Queue(
            maxsize=round(queue_s / block_s)
        )
        self._dropped_frames = 0
        self._stopped = False
        self._device = device
        self.name = name

    def blocks(self) -> Iterator[Block]:
        """Open the device and give its sound until `stop`.

        Raises
        ------
        DeviceFailed
            If it does not open.
        DeviceStopped
            If it gives nothing for three seconds.
        """
        sounddevice = portaudio()
        try:
            stream = sounddevice.InputStream(
                device=self._device,
                samplerate=self.sample_rate_hz,
                channels=self._channel + 1,
                dtype="int16",
                blocksize=self._block_frames,
                latency="high",  # nobody listens to the microphone live; safety before delay
                callback=self._on_block,
            )
        except sounddevice.PortAudioError as error:
            raise DeviceFailed(device=self.name, problem=_portaudio_problem(error)) from error
        with stream:
            yield from self.arrived()

    def arrived(self) -> Iterator[Block]:
        """What the callback has delivered and goes on to deliver, with the gaps marked."""
        position, dropped = 0, 0
        clock = FrameClock(self.sample_rate_hz)
        while True:
            try:
                samples, overflow, time_s, dropped_so_far = self._queue.get(
                    timeout=0.05 if self._stopped else self._silent_s
                )
            except queue.Empty:
                if self._stopped:
                    return
                raise DeviceStopped(
                    device=self.name, position_s=round(position / self.sample_rate_hz, 1)
                ) from None
            lost, gap = 0, None
            newly_dropped, dropped = dropped_so_far - dropped, dropped_so_far
            mismatch = clock.feed(samples.size + newly_dropped, time_s)
            if overflow:
                gap = "overflow"
            if mismatch is not None:
                lost, gap = max(0, mismatch.samples), "late" if mismatch.samples > 0 else "ahead"
            if newly_dropped:
                lost, gap = lost + newly_dropped, "dropped"
            yield Block(samples, position, lost, gap)
            position += samples.size

    def stop(self) -> None:
        """End the iteration, after what has already arrived."""
        self._stopped = True

    def _on_block(self, indata: Any, frames: int, _time: Any, status: Any) -> None:
        """Runs on the audio thread: nothing here may block or allocate much."""
        if self._stopped:
            return
        samples = indata[:, self._channel].copy()  # the driver reuses its buffer
        try:
            self._queue.put_nowait(
                (samples, bool(status.input_overflow), self._clock(), self._dropped_frames)
            )
        except queue.Full:
            self._dropped_frames += frames  # one writer, so no lock


def portaudio() -> Any:
    """The sounddevice module.

    Raises
    ------
    SoundSystemMissing
        If PortAudio's library is not on this machine.
    """
    try:
        import sounddevice
    except OSError as error:
        raise SoundSystemMissing(problem=str(error)) from error
    return sounddevice


def _portaudio_problem(error: Exception) -> str:
    return str(error.args[0]) if error.args else "unknown"
