"""Pages that the code can write are written by it, and every library has its reason.

A reference page that is stale is worse than none: people act on it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import docs

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def pages():
    """The pages as a fresh process writes them: a command that ran before keeps the help that it showed."""
    code = "import json; from tools import docs; print(json.dumps({n: w() for n, w in docs.PAGES.items()}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", sorted(docs.PAGES))
def test_a_generated_page_is_what_the_code_says_now(name, pages):
    page = ROOT / "docs" / name
    assert page.exists(), f"run: make docs (for docs/{name})"
    assert page.read_text(encoding="utf-8") == pages[name], f"docs/{name} is stale; run: make docs"


def test_every_dependency_has_one_line_that_says_why():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for group in (project["project"]["optional-dependencies"], project["dependency-groups"]):
        asked += [item for items in group.values() for item in items]
    names = {re.split(r"[<>=\[ ;]", item)[0] for item in asked} - {"xiangyin"}
    lines = re.findall(
        r"^\| ([a-z0-9-]+) \| (.+) \|$", (ROOT / "docs/dependencies.md").read_text("utf-8"), re.M
    )
    told = {name for name, why in lines if name != "library" and len(why) > 8}
    assert told == names


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))]
)
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
