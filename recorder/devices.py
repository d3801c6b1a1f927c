"""Microphones and loudspeakers of this machine, and how people name them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from protocol.errors import CodedError
from recorder.capture import portaudio


class DeviceNotFound(CodedError):
    """No device of that name."""

    code = "DEVICE_NOT_FOUND"


@dataclass(frozen=True)
class Device:
    """A sound device as PortAudio lists it."""

    number: int
    name: str
    system: str
    inputs: int
    outputs: int
    default_rate_hz: int
    is_default_input: bool
    is_default_output: bool


def devices() -> list[Device]:
    """All inputs and outputs of this machine."""
    sounddevice = portaudio()
    systems = [row["name"] for row in sounddevice.query_hostapis()]
    default_in, default_out = sounddevice.default.device
    return [
        Device(
            number=number,
            name=row["name"],
            system=systems[row["hostapi"]],
            inputs=row["max_input_channels"],
            outputs=row["max_output_channels"],
            default_rate_hz=int(row["default_samplerate"]),
            is_default_input=number == default_in,
            is_default_output=number == default_out,
        )
        for number, row in enumerate(sounddevice.query_devices())
    ]


def find_device(wanted: str | int, kind: Literal["input", "output"]) -> int:
    """The number of the device with this name or number; a part of the name is enough if it is unique."""
    fitting = [d for d in devices() if (d.inputs if kind == "input" else d.outputs)]
    number = int(wanted) if isinstance(wanted, int) or wanted.isdecimal() else None
    exact = [d for d in fitting if d.number == number or d.name == wanted]
    partly = [d for d in fitting if str(wanted).casefold() in d.name.casefold()]
    found = exact[:1] or (partly if len(partly) == 1 else [])
    if not found:
        known = ", ".join(d.name for d in fitting) or "none at all"
        raise DeviceNotFound(device=str(wanted), known=known)
    return found[0].number


def device_class(name: str) -> str:
    """A device's name as a clip may carry it: letters, digits and dashes, at most 32."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:32] or "unnamed"
