"""What every test may use, and the rule that a machine which has a part must test it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = {name for name in os.environ.get("XIANGYIN_REQUIRE", "").split(",") if name}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Where XIANGYIN_REQUIRE names a marker, skipping its tests is failing them."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        demanded = sorted(REQUIRED & {mark.name for mark in item.iter_markers()})
        if demanded:
            report.outcome = "failed"
            report.longrepr = f"{demanded[0]} tests are required here, but: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def xiangyin_command() -> list[str]:
    """The installed command, as a person would call it."""
    name = "xiangyin.exe" if sys.platform == "win32" else "xiangyin"
    return [str(Path(sys.executable).with_name(name))]


CHROMIUM = os.environ.get("XIANGYIN_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium: apt-get install chromium, or name one in XIANGYIN_CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
