"""Lost sound is noticed by comparing frames with the clock, also when the driver says nothing."""

from __future__ import annotations

import pytest

from recorder.gaps import FrameClock

RATE_HZ = 48_000
BLOCK = 480


def mismatches(arrivals):
    clock = FrameClock(RATE_HZ)
    return [found for s in arrivals if (found := clock.feed(BLOCK, s)) is not None]


def steady(seconds, *, start_s=0.0, pace=1.0):
    return [start_s + k * 0.01 * pace for k in range(round(seconds * 100))]


def test_a_steady_device_is_never_suspected():
    assert mismatches(steady(60)) == []


@pytest.mark.parametrize("ppm", [-200, 200])
def test_two_quartzes_that_differ_are_no_loss(ppm):
    assert mismatches(steady(600, pace=1 + ppm * 1e-6)) == []


def test_jitter_by_a_whole_buffer_is_no_loss():
    arrivals = [s + (0.08 if k % 9 else 0.0) for k, s in enumerate(steady(30))]
    assert mismatches(arrivals) == []


def test_a_stall_that_the_driver_makes_up_for_is_no_loss():
    """A stopped process finds the blocks of two seconds waiting, and takes them at once."""
    arrivals = [max(s, 7.0 + k * 1e-4) if 5.0 <= s < 7.5 else s for k, s in enumerate(steady(20))]
    assert mismatches(sorted(arrivals)) == []


@pytest.mark.parametrize("lost_s", [0.1, 0.5, 3.0])
def test_missing_frames_are_counted(lost_s):
    arrivals = steady(10) + steady(10, start_s=10 + lost_s)
    assert sum(m.samples for m in mismatches(arrivals)) == pytest.approx(lost_s * RATE_HZ, abs=0.02 * RATE_HZ)


def test_many_small_losses_add_up():
    """Ten milliseconds lost each second is a fault of one per cent, far more than any quartz."""
    arrivals = [s + 0.01 * int(s) for s in steady(60)]
    assert sum(m.samples for m in mismatches(arrivals)) == pytest.approx(0.6 * RATE_HZ, rel=0.3)


def test_a_device_faster_than_time_is_told():
    """So behaves a sound server whose microphone was unplugged."""
    arrivals = steady(10) + [10 + 0.001 * k for k in range(6000)]
    assert sum(m.samples for m in mismatches(arrivals)) < -RATE_HZ
