"""The controller that brings a room's noise into a band by what it plays: pure, one step each half second.

The loudspeaker, the room and the microphone have a gain that nobody knows, so the level is approached
by small steps and watched. While somebody speaks nothing is learnt and nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

STEP_S = 0.5
STEP_DB = 2.0
SETTLED_DB = 1.0
HELD_DB = 2.0
PATIENCE_S = 15.0
LOUDEST_DBA = 80.0
_HEARD_STEPS = 4  # half seconds that a held level is averaged over: noise that varies is not chased

Phase = Literal["settling", "holding", "gave_up"]
Reason = Literal["too_weak", "room_too_loud", "unsteady"]


@dataclass(frozen=True)
class Limits:
    """What the gain may be, in dB over the noise as it was made; the highest is full scale."""

    lowest_db: float
    highest_db: float


@dataclass(frozen=True)
class Servo:
    """The controller's state.

    Attributes
    ----------
    gain_db : float
        What the noise is to be played with.
    off_s : float
        For how long the level has been outside of what the phase allows.
    heard_dbfs : tuple of float
        The last half seconds.
    reason : str or None
        Why it gave up.
    """

    gain_db: float
    phase: Phase = "settling"
    off_s: float = 0.0
    heard_dbfs: tuple[float, ...] = ()
    reason: Reason | None = None


def step(
    servo: Servo, noise_dbfs: float, target_dbfs: float, limits: Limits, *, speaking: bool = False
) -> Servo:
    """The state after another half second in which the microphone heard `noise_dbfs`.

    Parameters
    ----------
    noise_dbfs, target_dbfs : float
        Mean level of this half second, and the level that is wanted.
    speaking : bool
        Whether anybody spoke in it: then nothing changes.
    """
    if servo.phase == "gave_up" or speaking:
        return servo
    heard = (*servo.heard_dbfs, noise_dbfs)[-_HEARD_STEPS:]
    holding = servo.phase == "holding"
    level_dbfs = sum(heard) / len(heard) if holding else noise_dbfs
    error_db = target_dbfs - level_dbfs
    # Held gently, as the average and the loudspeaker's buffer are late; not at all for mere unrest.
    wanted_db = 0.25 * error_db if holding else error_db
    if holding and abs(error_db) <= SETTLED_DB / 2:
        wanted_db = 0.0
    gain_db = servo.gain_db + min(STEP_DB, max(-STEP_DB, wanted_db))
    gain_db = min(limits.highest_db, max(limits.lowest_db, gain_db))
    within = abs(error_db) <= (HELD_DB if holding else SETTLED_DB)
    off_s = 0.0 if within else servo.off_s + STEP_S
    if off_s >= PATIENCE_S:
        return replace(servo, phase="gave_up", reason=_reason(gain_db, error_db, limits), heard_dbfs=heard)
    if within and not holding:
        return Servo(servo.gain_db, "holding", 0.0, (noise_dbfs,))
    return Servo(gain_db, servo.phase, off_s, heard)


def safe_target_dbfs(wanted_dbfs: float, calibration_offset_db: float | None) -> float:
    """The wanted level, but never above 80 dB(A) where the microphone is calibrated."""
    if calibration_offset_db is None:
        return wanted_dbfs
    return min(wanted_dbfs, LOUDEST_DBA - calibration_offset_db)


def _reason(gain_db: float, error_db: float, limits: Limits) -> Reason:
    if gain_db >= limits.highest_db and error_db > 0:
        return "too_weak"
    if gain_db <= limits.lowest_db and error_db < 0:
        return "room_too_loud"
    return "unsteady"
