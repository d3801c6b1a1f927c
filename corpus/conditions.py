"""What a card tells of the conditions of recording: what the grades stand for, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.markdown import plain, table
from corpus.statistics import DURATION_BIN_S, LONG_S, SNR_BIN_DB, Statistics, histogram
from protocol.clip import GRADES


def bands(named: Sequence[str]) -> str:
    """The limits of each grade, profile by profile, as ``everyday 1`` names them.

    A profile of which this version knows no such version has its bands from whoever cut the release.
    """
    from noise_profiles import profile

    known = {f"{one.id} {one.version}": one for one in profile.load().values()}
    rows, unknown, margins_db = [], [], set()
    for name in named:
        if (found := known.get(name)) is None:
            unknown.append(plain(name))
            continue
        margins_db.add(found.margin_db)
        for grade, band in found.grades.items():
            room = "any" if band.ambient_dba is None else "{:g} to {:g}".format(*band.ambient_dba)
            rows.append((plain(name), grade, f"{band.snr_low_db:g} to {band.snr_high_db:g}", room))
    told = ""
    if rows:
        margin = " or ".join(f"{one:g}" for one in sorted(margins_db))
        told = table(("profile", "grade", "SNR, dB", "room, dB(A)"), rows)
        told += (
            f"\nA clip that misses its band by at most {margin} dB, or within its own uncertainty,"
            "\nwas taken too. The room's level guides where a device is calibrated; it refuses nothing.\n"
        )
    if unknown:
        told += f"\nThe bands of {', '.join(unknown)} are not known to the version that wrote this.\n"
    return told.lstrip("\n") or "The release names no profile.\n"


def snr(stats: Statistics) -> str:
    """How many clips of each grade lie in each step of SNR."""
    lows = sorted({value for counts in stats.snr.values() for value in counts})
    grades = [grade for grade in GRADES if stats.snr[grade]]
    rows = [
        (f"{low} to {low + SNR_BIN_DB}", *(str(stats.snr[grade][low]) for grade in grades)) for low in lows
    ]
    return table(("SNR, dB", *(f"clips, {grade}" for grade in grades)), rows)


def durations(stats: Statistics) -> str:
    """How many clips have each length."""
    rows = [
        (f"{low} to {low + DURATION_BIN_S}" if low < LONG_S else f"{LONG_S} and more", str(count))
        for low, count in histogram(stats.durations, DURATION_BIN_S)
        if count
    ]
    return table(("seconds", "clips"), rows)


def lengths(stats: Statistics) -> str:
    """``4.3 s on average, 1.1 s to 12.5 s``."""
    if not stats.clips:
        return "none"
    mean_s, least_s, most_s = stats.ms / stats.clips / 1000, stats.shortest_ms / 1000, stats.longest_ms / 1000
    return f"{mean_s:.1f} s on average, {least_s:.1f} s to {most_s:.1f} s"
