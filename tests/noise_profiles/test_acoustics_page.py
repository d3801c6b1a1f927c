"""docs/acoustics.md shows what the code does: its examples are run, its pictures drawn anew and compared."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import xiangyin
from noise_profiles import profile
from tools import sound_pictures

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "acoustics.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def blocks(kind: str) -> list[str]:
    """The examples of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the takes and the profile that the page talks about."""
    for name, sound in sound_pictures.takes().items():
        soundfile.write(tmp_path / name, sound, sound_pictures.RATE_HZ)
    (tmp_path / "car.toml").write_text(blocks("toml")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_alike(said: str, shown: str) -> None:
    """The same words; figures may differ in their last digit from one processor to another."""
    assert NUMBER.sub("#", said).split() == NUMBER.sub("#", shown).split()
    pairs = zip(NUMBER.findall(said), NUMBER.findall(shown), strict=True)
    assert all(abs(float(a) - float(b)) <= 0.11 for a, b in pairs)


@pytest.mark.parametrize("example", blocks("console"), ids=lambda text: text.split("\n")[0])
def test_an_example_prints_what_the_page_shows(desk, example):
    command, _, shown = example.partition("\n")
    words = shlex.split(command.removeprefix("$ xiangyin "))
    done = CliRunner().invoke(xiangyin.cli, words, env={"COLUMNS": "80"})
    assert_alike(done.output, shown)


def test_the_json_example_is_json():
    (line,) = [json.loads(one.split("\n")[1]) for one in blocks("console") if "json" in one]
    assert line["verdict"] == "accept"


def test_the_python_example_runs(desk):
    (example,) = blocks("python")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(example, "acoustics.md", "exec"), {})
    assert out.getvalue().strip() == example.strip().rpartition("# ")[2]


def test_the_mistake_that_the_page_quotes_is_told_as_quoted(desk):
    wrong = desk / "car.toml"
    text = wrong.read_text(encoding="utf-8")
    wrong.write_text(text.replace("snr_db", "snr_bd", 1), encoding="utf-8")
    with pytest.raises(profile.ProfileInvalid) as caught:
        profile.load(wrong)
    assert re.sub(r"\s+", " ", str(caught.value)).find(_quoted("car.toml, line")) >= 0


def _quoted(begins: str) -> str:
    found = re.search(rf"`({re.escape(begins)}[^`]*)`", PAGE)
    assert found is not None
    return re.sub(r"\s+", " ", found[1]).rstrip("?")


def test_every_code_that_the_page_names_exists():
    from protocol.errors import catalogue

    codes = set(re.findall(r"`([a-z]+\.[a-z_]+)`", PAGE)) - {"car.toml", "table.csv", "sessions.jsonl"}
    assert codes and codes <= set(catalogue())


@pytest.mark.parametrize("name", sorted(sound_pictures.pictures()))
def test_a_picture_shows_what_the_code_draws_now(name):
    path = DOCS / name
    assert path.exists(), f"run: make docs (for docs/{name})"
    shown = path.read_text(encoding="utf-8")
    assert not sound_pictures.differs(shown, sound_pictures.pictures()[name]), (
        f"stale; run: make docs ({name})"
    )
    assert len(shown) < 40_000, "a page of pictures loads at once"
    assert name in PAGE


def test_a_picture_that_shows_something_else_is_stale():
    """The comparison forgives a last digit and nothing more."""
    svg = sound_pictures.pictures()["pictures/kitchen.en.svg"]
    assert not sound_pictures.differs(svg, svg)
    assert not sound_pictures.differs(svg, svg.replace('x="24.0"', 'x="24.1"'))
    assert sound_pictures.differs(svg, svg.replace("kitchen", "kitchin"))
    assert sound_pictures.differs(svg, svg.replace('x="24.0"', 'x="34.0"'))
    assert sound_pictures.differs(svg, sound_pictures.pictures()["pictures/bedroom.svg"])


def test_the_takes_are_what_the_page_says_they_are():
    takes = sound_pictures.takes()
    assert all(np.isfinite(sound).all() and np.abs(sound).max() <= 1.0 for sound in takes.values())
