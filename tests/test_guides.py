"""The guides are followed as written: every command of a page is run, in order, and prints what it shows.

A person who follows a page has nobody to ask when the second line fails.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

import xiangyin
from noise_profiles import signals
from recorder.screen import RecorderScreen
from transcribe import lint

RATE_HZ = 16_000
TIMEOUT_S = 120
ROOT = Path(__file__).resolve().parent.parent
KEYS = (ROOT / "web/static/keys.js").read_text(encoding="utf-8")


def steps(page: str) -> list[tuple[str, list[str]]]:
    """Every command of the page's consoles, with the lines that it shows."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def fits(shown: list[str], said: list[str]) -> bool:
    """Whether the lines are those that are shown; ``…`` is anything, alone any lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + "\n" for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in said)) is not None


def talk(seed: int = 5) -> np.ndarray:
    """Room tone, then three remarks with pauses between them, in a room with a fan."""
    silence = np.zeros(2 * RATE_HZ, dtype=np.float32)
    parts = [silence]
    for number in range(3):
        parts += [signals.speech_like(5 * RATE_HZ, RATE_HZ, seed + number), silence]
    speech = np.concatenate(parts)
    return signals.mix(speech, signals.fan(speech.size, RATE_HZ, seed), 18.0, RATE_HZ).samples


@pytest.fixture
def desk(tmp_path: Path, xiangyin_command: list[str]):
    """A folder with what the page's reader has, and a way to type into it."""
    page = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    toml = re.search(r"^```toml\n(.*?)^```", page, re.M | re.S)
    assert toml is not None
    (tmp_path / "terms.toml").write_text(toml[1], encoding="utf-8")
    (tmp_path / "prompts.txt").write_text("今仔日天氣誠好。\n咱來去食飯。\n", encoding="utf-8")
    soundfile.write(tmp_path / "talk.wav", talk(), RATE_HZ, subtype="PCM_16")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    home = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "c"),
        "XDG_DATA_HOME": str(tmp_path / "d"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XIANGYIN_")}
    env = {**kept, **home, "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}
    running: list[subprocess.Popen[str]] = []

    def type_in(command: str) -> list[str]:
        words = shlex.split(command.replace("8000", port))
        assert words[0] == "xiangyin"
        asked = [*xiangyin_command, *words[1:]]
        if words[-1] != "&":
            done = subprocess.run(
                asked, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
            return done.stdout.replace(port, "8000").splitlines()
        with (tmp_path / "stderr").open("w") as errors:
            server = subprocess.Popen(
                asked[:-1], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        running.append(server)
        said = []
        assert server.stdout is not None
        for line in server.stdout:
            said.append(line.rstrip("\n").replace(port, "8000"))
            if line.startswith("Ready at"):
                return said
        pytest.fail(f"{command}: {said} {(tmp_path / 'stderr').read_text('utf-8')[-2000:]}")

    yield page, type_in
    for server in running:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
        assert server.stdout is not None
        server.stdout.close()


def test_an_operator_who_follows_the_page_gets_what_it_shows(desk):
    page, type_in = desk
    link = ""
    for command, shown in steps(page):
        said = type_in(command.replace("LINK", link))
        assert fits(shown, said), f"$ {command}\n" + "\n".join(said)
        if "--role speaker" in command:
            link = said[0]


@pytest.mark.parametrize(
    ("page", "ruleset"),
    [
        ("transcribing.md", "zh-Hant"),
        ("transcribing.zh-Hant.md", "zh-Hant"),
        ("transcribing.zh-Hans.md", "zh-Hans"),
    ],
)
def test_what_transcribers_are_told_to_write_is_what_the_rules_ask(page, ruleset):
    """A guide that disagrees with the desk costs its reader a refusal."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (.+?) \| ([A-Z]\d{3})[:：]", text, re.M)
    assert len(rows) == 8
    for bad, good, code in rows:
        assert code in {finding.code for finding in lint.check(bad, ruleset)}, bad
        assert lint.check(good, ruleset) == [], good


@pytest.mark.parametrize("language", ["", ".zh-Hant", ".zh-Hans"])
def test_the_keys_that_a_guide_names_are_those_of_the_page_and_the_screen(language):
    desk = (ROOT / f"docs/transcribing{language}.md").read_text(encoding="utf-8")
    named = re.findall(r'^  (\w+): "(?:play|back|loop|slower|faster|next|apply)"', KEYS, re.M)
    short = {name.removeprefix("Key"): name for name in named} | {",": "Comma", ".": "Period"}
    assert set(re.findall(r"Alt\+(\S)", desk)) - {"1"} == {k for k in short if len(k) == 1}
    speaking = (ROOT / f"docs/speaking{language}.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| ([A-Z]) \| ", speaking, re.M)
    bound = [key for binding in RecorderScreen.BINDINGS for key in binding.key.split(",") if len(key) == 1]
    assert sorted(told) == sorted(key.upper() for key in bound)


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_a_command_that_a_page_names_is_there(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for words in re.findall(r"`xiangyin ([a-z]+)(?: ([a-z]+))?", text):
        command = xiangyin.cli.get_command(click.Context(xiangyin.cli), words[0])
        assert command is not None, f"{page}: xiangyin {words[0]}"
