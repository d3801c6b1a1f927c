"""The page of formats: it names all of them, and every command and every program on it runs.

People copy these lines; one that fails costs them the afternoon that the format was to save.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from corpus import formats

PAGE = Path(__file__).resolve().parents[2] / "docs/formats.md"
BLOCKS = re.findall(r"^```(\w+)\n(.+?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
PROGRAMS = [text for kind, text in BLOCKS if kind == "python"]
# It asks torchaudio for its version and no more; torchaudio's wheel for Linux wants CUDA.
WITHOUT_TORCHAUDIO = 'import sys, types; sys.modules["torchaudio"] = types.ModuleType("torchaudio")\n'


def libraries(program: str) -> list[str]:
    return re.findall(r"^(?:from|import) (\w+)", program, re.M)


@pytest.fixture(scope="module")
def folder(cut_once, root, tmp_path_factory) -> Path:
    """Where the reader of the page stands, after every command on it."""
    here = tmp_path_factory.mktemp("page")
    (here / "tales").symlink_to(cut_once / "releases/r1")
    env = {**os.environ, "PYTHONPATH": str(root)}
    for kind, text in BLOCKS:
        for command in text.splitlines() if kind == "sh" else ():
            words = [sys.executable, "-m", *command.split()]
            done = subprocess.run(words, cwd=here, env=env, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}: {done.stderr}"
    return here


def test_the_page_has_every_format_in_its_table():
    table = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert table == list(formats.FORMATS)


def test_every_command_on_the_page_writes_its_folder(folder):
    commands = " ".join(text for kind, text in BLOCKS if kind == "sh")
    named = {name for names in re.findall(r"--format (\S+)", commands) for name in names.split(",")}
    assert named == set(formats.FORMATS)
    for name in named - formats.WHOLE_RECORDINGS:
        assert (folder / "data" / name / ".xiangyin-export.json").is_file()
    assert {p.name for p in (folder / "data/recordings").iterdir()} == formats.WHOLE_RECORDINGS


@pytest.mark.toolkit
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda text: "-".join(libraries(text)))
def test_every_program_on_the_page_runs(program, folder, root, tmp_path):
    python = Path(os.environ.get("XIANGYIN_TOOLKITS_PYTHON") or root / ".venv-toolkits/bin/python")
    if not python.exists():
        pytest.skip("the toolkits live in .venv-toolkits; make it with `make toolkits`")
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    code = (WITHOUT_TORCHAUDIO if "speechbrain" in program else "") + program
    done = subprocess.run([str(python), "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()
