"""The demonstration is the main job: if it fails, nothing else matters to a newcomer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import requests


@pytest.fixture(scope="module")
def told(xiangyin_command, tmp_path_factory):
    """What one run with ``--serve`` prints, and its report; the site is up meanwhile."""
    home = tmp_path_factory.mktemp("demo") / "walk"
    with subprocess.Popen(
        [*xiangyin_command, "demo", "--serve", "--data", str(home)],
        stdout=subprocess.PIPE,
        stderr=(home.parent / "stderr").open("w"),
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("Ctrl-C"):
                break
        else:
            pytest.fail("".join(printed[-5:]) + (home.parent / "stderr").read_text("utf-8")[-3000:])
        yield "".join(printed), json.loads((home / "report.json").read_text("utf-8"))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def manifest(release):
    """The rows of a released manifest."""
    return [json.loads(line) for line in Path(release["manifest"]).read_text("utf-8").splitlines()]


def test_what_is_measured_is_what_was_mixed(told):
    """A speaker relies on this figure, and noise that is steady leaves no excuse."""
    _, report = told
    steady = [take for take in report["takes"] if take["verdict"] == "accept"]
    assert len(steady) >= 20
    for take in steady:
        assert take["snr_db"] == pytest.approx(take["snr_mixed_db"], abs=1.5), take


def test_noise_passed_off_as_quiet_is_refused(told):
    _, report = told
    assert [take["verdict"] for take in report["takes"] if take["snr_mixed_db"] == 12.0] == ["refuse"]


def test_a_connection_was_cut_and_nothing_was_lost(told):
    _, report = told
    assert report["sending"]["cuts"] == 1
    assert sum(report["sending"]["states"].values()) == len(report["takes"])
    assert report["sending"]["receipts_checked"] == len(report["takes"])


def test_the_manifest_has_every_accepted_clip_with_clean_text(told):
    from transcribe import lint

    _, report = told
    rows = [row for release in report["releases"] for row in manifest(release)]
    accepted = {take["clip_id"].replace("-", "") for take in report["takes"] if take["verdict"] == "accept"}
    assert {row["id"].split("-", 1)[1] for row in rows} == accepted
    for row in rows:
        assert not [f for f in lint.check(row["text"], row["orthography"]) if f.severity == "error"], row[
            "text"
        ]
        assert row["transcribers"] >= 2


def test_the_toolkits_folders_agree_with_the_manifest(told):
    _, report = told
    for release in report["releases"]:
        rows = manifest(release)
        texts = {}
        for split in ("train", "dev", "test"):
            lines = (Path(release["exports"]["kaldi"]) / split / "text").read_text("utf-8").splitlines()
            texts |= dict(line.split(" ", 1) for line in lines)
        assert texts == {row["id"]: row["text"] for row in rows}


@pytest.mark.parametrize(("role", "stage"), [("transcriber", "first"), ("reviewer", "review")])
def test_the_site_that_stays_up_has_work_for_each_who_follows_a_link(told, role, stage):
    printed, _ = told
    link = re.search(rf"^ +{role} +(http://\S+)/join/(\S+)$", printed, re.M)
    assert link is not None
    joined = requests.post(f"{link[1]}/api/v1/join", json={"invite": link[2]}, timeout=30).json()
    bearer = {"Authorization": f"Bearer {joined['token']}"}
    task = requests.post(f"{link[1]}/api/v1/assignments", json={}, headers=bearer, timeout=30)
    assert (task.status_code, task.json()["stage"]) == (201, stage)


def test_the_readme_shows_what_the_demonstration_prints(told, root):
    """Figures and folders differ from run to run; every other word of the README's output must be true."""
    printed, _ = told

    def shape(line: str) -> str:
        return re.sub(r"\s+", " ", re.sub(r"\S*/\S+", "PATH", re.sub(r"\d+(\.\d+)?", "0", line))).strip()

    shown = re.search(r"\$ make demo\n(.+?)```", (root / "README.md").read_text("utf-8"), re.S)
    assert shown is not None
    lines = [shape(line) for line in shown[1].splitlines() if line.strip() not in ("", "...")]
    assert len(lines) > 20
    missing = [line for line in lines if line not in {shape(line) for line in printed.splitlines()}]
    assert not missing


def test_a_folder_that_is_not_the_demonstrations_is_left_alone(xiangyin_command, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    done = subprocess.run(
        [*xiangyin_command, "demo", "--data", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "DEMO_FOLDER_TAKEN" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"
