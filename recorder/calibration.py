"""What sound level a device's full scale means, from a reference that somebody read off a meter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from noise_profiles import measure
from noise_profiles.levels import rms_dbfs
from protocol.errors import CodedError
from recorder import durable
from recorder.takes import Int16

Method = Literal["calibrator", "sound-level-meter"]

SOFTEST_DBFS = -80.0
LOUDEST_DBFS = -1.0
STEADY_DB = 3.0


class CalibrationImpossible(CodedError):
    """The reference was too soft, too loud or not steady."""

    code = "CALIBRATION_IMPOSSIBLE"


@dataclass(frozen=True)
class Calibration:
    """One device's offset: dB SPL of a sine that reads 0 dBFS."""

    device: str
    offset_db: float
    method: Method
    reference_db: float
    heard_dbfs: float
    calibrated_at: str


def calibrate(
    device: str, samples: Int16, sample_rate_hz: int, reference_db: float, method: Method, now: str
) -> Calibration:
    """The offset from sound that had `reference_db`.

    A calibrator's tone is taken as it is (1 kHz, where A-weighting is 0 dB); against a sound level
    meter, which reads dB(A), the sound is A-weighted.

    Raises
    ------
    CalibrationImpossible
        If the sound cannot have been a steady reference.
    """
    quarter = len(samples) // 4
    if quarter < sample_rate_hz // 4:
        raise CalibrationImpossible(device=device, problem="less than a second was heard")
    parts = [rms_dbfs(samples[k * quarter : (k + 1) * quarter].astype(np.float32) / 32768) for k in range(4)]
    if max(parts) - min(parts) > STEADY_DB:
        raise CalibrationImpossible(
            device=device, problem=f"the level changed by {max(parts) - min(parts):.1f} dB"
        )
    heard_dbfs = (
        rms_dbfs(samples.astype(np.float32) / 32768)
        if method == "calibrator"
        else measure.room_tone(samples, sample_rate_hz).noise_dba_fs
    )
    if not SOFTEST_DBFS <= heard_dbfs <= LOUDEST_DBFS:
        raise CalibrationImpossible(
            device=device, problem=f"the reference was heard at {heard_dbfs:.1f} dBFS"
        )
    offset_db = round(reference_db - heard_dbfs, 2)
    return Calibration(device, offset_db, method, reference_db, round(heard_dbfs, 2), now)


def save(data: Path, calibration: Calibration) -> Path:
    """Keep it, in the place of an older one for the same device."""
    path = data / "calibrations.json"
    durable.make_folder(data)
    durable.write_json(path, {**_stored(path), calibration.device: asdict(calibration)})
    return path


def offset_db(data: Path, device: str) -> float | None:
    """The kept offset of a device, or None if it was never calibrated."""
    row = _stored(data / "calibrations.json").get(device)
    return float(row["offset_db"]) if row else None


def _stored(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CalibrationImpossible(device=str(path), problem="the file is damaged") from error
    return found if isinstance(found, dict) else {}
