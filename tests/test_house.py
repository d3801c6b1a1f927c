"""The house stands as drawn: floors, the library table, quick starts, locks that name no host.

A project whose parts may import anything cannot be read; these tests keep the drawing true.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    "protocol": 0,
    "transcribe": 1,
    "noise_profiles": 1,
    "corpus": 2,
    "recorder": 2,
    "web": 3,
    "demo": 4,
}
TOP = {"xiangyin", "server"}
ALLOWED = {
    "sounddevice": {"recorder/capture.py", "recorder/playback.py"},
    "textual": {"recorder/screen.py"},
    "flask": {"web/", "server.py"},
    "werkzeug": {"web/", "server.py"},
    "sqlalchemy": {"corpus/"},
    "alembic": {"corpus/"},
    "obstore": {"corpus/bucket.py", "corpus/object_store.py"},
}


def sources() -> list[Path]:
    """Every module of the product."""
    found = [ROOT / f"{name}.py" for name in sorted(TOP)]
    for package in FLOORS:
        found += sorted((ROOT / package).rglob("*.py"))
    return found


def imports(path: Path) -> set[str]:
    """Every module name that a file imports, late imports too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                names.add(path.relative_to(ROOT).parts[0])
            elif node.module:
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def floor(path: Path) -> int:
    """4 for what joins the parts, otherwise the package's floor."""
    inside = path.relative_to(ROOT)
    if len(inside.parts) == 1 or inside.stem == "cli" or inside.stem.endswith("_cli"):
        return 4
    return FLOORS[inside.parts[0]]


def is_entry_point(name: str) -> bool:
    parts = name.split(".")
    return parts[0] in TOP or (len(parts) > 1 and (parts[1] == "cli" or parts[1].endswith("_cli")))


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_package_or_floors_below(path):
    own, here = path.relative_to(ROOT).parts[0], floor(path)
    for name in imports(path):
        package = name.split(".")[0]
        if package in FLOORS and package != own:
            assert FLOORS[package] < here, f"{path.name} on floor {here} imports {name}"
        if here < 4:
            assert not is_entry_point(name) or name.split(".")[0] not in (*FLOORS, *TOP), (
                f"{path.name} imports {name}, which joins the parts and stands above all"
            )


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_library_is_imported_only_where_the_table_says(path):
    inside = path.relative_to(ROOT).as_posix()
    for name in imports(path):
        places = ALLOWED.get(name.split(".")[0])
        if places is not None:
            at_home = inside in places or any(p.endswith("/") and inside.startswith(p) for p in places)
            assert at_home, f"{inside} imports {name}; it belongs in {sorted(places)}"


def test_protocol_imports_no_third_party():
    for path in (ROOT / "protocol").rglob("*.py"):
        for name in imports(path):
            package = name.split(".")[0]
            assert package == "protocol" or package in sys.stdlib_module_names, f"{path.name} imports {name}"


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter at the project's root, with one clean utterance to read."""
    return subprocess.run(
        [sys.executable, *words], input="好。\n", capture_output=True, text=True, cwd=ROOT, timeout=60
    )


HEAVY = ("numpy", "librosa", "flask", "sqlalchemy")


@pytest.mark.parametrize(
    "code",
    [
        "import xiangyin; xiangyin.cli.main(['--help'], standalone_mode=False)",
        "import transcribe, transcribe.lint, transcribe.text",
        "import xiangyin; xiangyin.cli.main(['lint', '-', '--ruleset', 'zh-Hant'], standalone_mode=False)",
    ],
    ids=["help", "import transcribe", "lint"],
)
def test_a_quick_command_loads_nothing_heavy(code):
    """A linter that waits for numpy is a linter nobody runs on save."""
    report = f"import sys; print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    script = f"try:\n    {code}\nexcept SystemExit:\n    pass\n{report}"
    done = python("-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("command", [["-m", "xiangyin"], ["xiangyin.py"]])
def test_the_command_answers_as_a_module_too(command):
    done = python(*command, "--help")
    assert done.returncode == 0
    assert "record" in done.stdout and "lint" in done.stdout


def test_every_command_in_the_table_exists_and_has_an_example():
    import click

    import xiangyin

    for name in xiangyin.COMMANDS:
        command = xiangyin.cli.get_command(click.Context(xiangyin.cli), name)
        assert isinstance(command, click.Command), name
        assert "xiangyin " + name in (command.epilog or ""), f"{name} --help shows no example"


LOCKS = ["requirements.lock", "requirements-dev.lock", "tools/toolkits/requirements.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_has_hashes_and_names_no_host(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://", text)
    entries = re.findall(r"^[A-Za-z0-9_.-]+==", text, re.M)
    assert entries and text.count("--hash=sha256:") >= len(entries)


def test_both_locks_pin_the_same_versions():
    """What is tested is what is run."""

    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([A-Za-z0-9_.-]+==[^\\\n]+?) *\\?$", (ROOT / name).read_text("utf-8"), re.M))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_no_file_of_the_product_is_ignored_by_git():
    """What a package reads at run time stands in a clone, too."""
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "--others",
            "--ignored",
            "--exclude-standard",
            *FLOORS,
            *(f"{n}.py" for n in TOP),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert [name for name in listed if "__pycache__" not in name] == []
