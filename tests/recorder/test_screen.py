"""The screen as text, in three languages, and once for real with keys."""

from __future__ import annotations

import asyncio
import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from protocol.errors import LANGUAGES
from recorder import screen, session
from recorder.screen import RecorderScreen, ScreenState, after, cells, first_state, meter, render, wrapped
from recorder.session import Key, Phase
from recorder.studio import Studio
from recorder.told import Levels, Notice, Prompt
from recorder.wording import language_of, wording

PROMPTS = [Prompt("p1", "今仔日天氣真好，咱做伙來去𨑨迌。")]
RATE_HZ = 16_000


@pytest.fixture
def start(everyday) -> ScreenState:
    return first_state("臺語語料", "moderate", everyday, -26.0, PROMPTS, "zh-Hant")


def levels(phase, **more):
    shown = {"level_dbfs": -50.0, "peak_dbfs": -40.0, "noise_dbfs": -45.0, "speaking": False}
    return Levels(session.State(phase=phase), position_s=3.0, lost_samples=0, **{**shown, **more})


def test_the_band_is_where_the_noise_gives_the_grades_snr(everyday):
    assert screen.noise_band_dbfs("moderate", everyday, -26.0) == (-51.0, -36.0)
    assert screen.noise_band_dbfs("noisy", everyday, -26.0) == (-36.0, -26.0)


def test_the_meter_marks_level_and_band():
    assert meter(-40.0, (-60.0, -20.0), 36, "level") == "level █████████▒▒▒▒▒▒···  -40.0 dBFS"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [40, 72, 120])
@pytest.mark.parametrize("phase", list(Phase))
def test_no_line_is_wider_than_the_terminal(start, language, width, phase):
    state = after(replace(start, language=language), levels(phase))
    state = after(state, Notice("take.lost", {"position_s": 3.0, "lost_ms": 12, "kind": "late"}))
    assert all(cells(line) <= width for line in render(state, width).splitlines())


def test_the_prompt_is_whole_even_where_it_is_broken(start):
    text = render(after(start, levels(Phase.PROMPT)), 40)
    assert PROMPTS[0].text in text.replace("\n", "").replace("  ", "")


@pytest.mark.parametrize(
    ("noise_dbfs", "says"), [(-70.0, "太安靜"), (-45.0, "在範圍內"), (-30.0, "太吵"), (None, "噪音 –")]
)
def test_the_hint_says_what_to_do_about_the_noise(start, noise_dbfs, says):
    assert says in render(after(start, levels(Phase.PROMPT, noise_dbfs=noise_dbfs)), 72)


def test_who_is_about_to_clip_is_told(start):
    assert "太大聲" in render(after(start, levels(Phase.TAKE, peak_dbfs=-1.0)), 72)


def test_lost_sound_stays_on_the_screen(start):
    state = after(start, replace(levels(Phase.TAKE), lost_samples=4800))
    assert "100" in render(state, 72).splitlines()[-2]


@pytest.mark.parametrize(
    ("phase", "key"),
    [(Phase.PROMPT, "[n]"), (Phase.TAKE, "[r]"), (Phase.VERDICT, "[k]"), (Phase.ROOM, "[q]")],
)
def test_the_keys_that_work_are_shown(start, phase, key):
    assert key in render(after(start, levels(phase)), 100).splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("一二三四", 4, ["一二", "三四"]),
        ("", 10, [""]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
    ],
)
def test_lines_break_at_spaces_or_between_characters(text, width, lines):
    assert [line.strip() for line in wrapped(text, width)] == lines


def test_wide_characters_take_two_columns_and_marks_none():
    assert (cells("a"), cells("臺"), cells("𨑨"), cells("e\u0301")) == (1, 2, 2, 1)


def test_every_sentence_has_three_languages_and_the_same_parameters():
    import string

    for key, texts in wording().items():
        names = [
            {name for _, name, _, _ in string.Formatter().parse(texts[language]) if name is not None}
            for language in LANGUAGES
        ]
        assert names[0] == names[1] == names[2], key


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_TW.UTF-8"}, "zh-Hant"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-Hans"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_TW.UTF-8", "XIANGYIN_LANGUAGE": "en"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_system_unless_chosen(environment, language):
    assert language_of(environment) == language


class Paced:
    """A microphone that an array plays, for as long as nobody stops it."""

    name, sample_rate_hz, live = "array", RATE_HZ, True

    def __init__(self, samples):
        self._samples, self._stopped = samples, False

    def blocks(self):
        from recorder.capture import Block

        at = 0
        while not self._stopped:
            place = at % (len(self._samples) - 160)
            yield Block(self._samples[place : place + 160], at)
            at += 160

    def stop(self):
        self._stopped = True


def test_a_take_by_keys_on_the_real_screen(spool, meta, everyday, start):
    """Textual runs headless; keys go in, the screen's text comes out, the take is in the spool."""
    hiss = np.random.default_rng(0).integers(-60, 60, 10 * RATE_HZ).astype(np.int16)
    keys: queue.SimpleQueue[Key] = queue.SimpleQueue()

    def next_key():
        try:
            return keys.get_nowait()
        except queue.Empty:
            return None

    def make(tell):
        return Studio(
            Paced(hiss), spool, meta, everyday, "m", mode="prompted", tell=tell, keys=next_key,
            prompts=PROMPTS,
        )  # fmt: skip

    async def until(pilot, app, phase):
        for _ in range(400):
            await pilot.pause(0.02)
            if app.state.session.phase is phase:
                return
        raise AssertionError(f"never came to {phase}; the screen was\n{render(app.state, 72)}")

    async def play():
        app = RecorderScreen(start, make, keys.put)
        async with app.run_test(size=(76, 24)) as pilot:
            await until(pilot, app, Phase.PROMPT)
            await pilot.press("space")
            await until(pilot, app, Phase.TAKE)
            await pilot.press("space")
            await until(pilot, app, Phase.VERDICT)
            shown = render(app.state, 72)
            await pilot.press("k")
            for _ in range(200):
                await pilot.pause(0.02)
                if app.kept:
                    break
        return app, shown

    # A thread of its own: the browser tests leave their event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        app, shown = thread.submit(asyncio.run, play()).result()
    assert "會被退回" in shown and "speech.none" in shown
    (take,) = spool.takes()
    assert app.kept == [take] and take.meta.prompt_id == "p1"
