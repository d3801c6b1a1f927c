"""The demonstration is the main job: if it fails, nothing else matters to a newcomer."""

from __future__ import annotations

import gzip
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
        process.send_signal(signal.SIGTERM)  # as a shell's kill; it ends like Ctrl-C, and the site with it
        assert process.wait(60) == 0
        address = re.search(r"^The site is up at (\S+?)\. ", "".join(printed), re.M)
        assert address is not None
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{address[1]}/healthz", timeout=5)


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


@pytest.fixture(scope="module")
def team(told, chromium):
    """What an invited team finds in the browser: the lines of the page, with a token just made."""
    printed, _ = told
    link = re.search(r"^ +consumer +(http://\S+)$", printed, re.M)
    assert link is not None
    context = chromium.new_context(locale="en-GB", viewport={"width": 1200, "height": 900})
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto(link[1])
    page.locator("main button.primary").click()
    page.locator("main .mono").first.wait_for()
    page.goto(re.sub(r"/join/.*", "/releases", link[1]))
    page.locator("h2 a.mono").first.click()
    page.locator("#fetch #label").fill("training machine")
    page.locator("#fetch button.primary").click()
    page.locator("[data-release]").wait_for()
    yield page
    context.close()


def copied(page, name: str) -> str:
    """The line of the page for one toolkit, as its button copies it."""
    button = page.locator(f"[data-line='{name}'] [data-copy]").first
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button.click()
    page.wait_for_function("node => node.textContent === '✓'", arg=button.element_handle())
    return page.evaluate("navigator.clipboard.readText()")


LOADS = {
    "lhotse": (
        "from lhotse import CutSet\n"
        "cuts = [c for s in ('train', 'dev', 'test')\n"
        "        for c in CutSet.from_file(f'{folder}/cuts_{s}.jsonl.gz')]\n"
        "assert all(c.load_audio().shape == (1, c.num_samples) for c in cuts)\n"
        "found = {c.id: c.supervisions[0].text for c in cuts}\n"
    ),
    "hf": (
        "from datasets import Audio, load_dataset\n"
        "data = load_dataset('audiofolder', data_dir=folder).cast_column('audio', Audio(decode=False))\n"
        "found = {r['id']: r['text'] for s in data.values() for r in s}\n"
    ),
    "kaldi": (
        "from lhotse.kaldi import load_kaldi_data_dir\n"
        "found = {}\n"
        "for s in ('train', 'dev', 'test'):\n"
        "    _, spoken, _ = load_kaldi_data_dir(f'{folder}/{s}', sampling_rate=16000)\n"
        "    found.update({one.id: one.text for one in spoken})\n"
    ),
}


def plain(name: str, folder: Path) -> dict[str, str]:
    """Utterances and texts of an export as they stand in its files."""
    if name == "kaldi":
        texts = [(folder / split / "text").read_text("utf-8") for split in ("train", "dev", "test")]
        return dict(row.split(" ", 1) for row in "".join(texts).splitlines())
    if name == "hf":
        files = [path.read_text("utf-8") for path in folder.glob("*/metadata.jsonl")]
        return {row["id"]: row["text"] for row in map(json.loads, "".join(files).splitlines())}
    packed = [gzip.decompress(path.read_bytes()).decode() for path in folder.glob("supervisions_*.jsonl.gz")]
    return {row["id"]: row["text"] for row in map(json.loads, "".join(packed).splitlines())}


@pytest.mark.browser
@pytest.mark.parametrize("name", sorted(LOADS))
def test_one_line_copied_from_the_page_leads_from_nothing_to_a_training_set(
    name, team, told, tmp_path, xiangyin_command, root
):
    """The line runs as it stands, on a machine that knows nothing of us but the command."""
    line = copied(team, name)
    env = {"PATH": f"{Path(xiangyin_command[0]).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    env |= {key: value for key, value in os.environ.items() if key == "PYTHONPATH"}
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, cwd=tmp_path, env=env, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "every byte verified" in done.stdout and "signature good" in done.stdout
    [folder] = tmp_path.glob(f"*/export/{name}")
    release = next(one for one in told[1]["releases"] if one["name"] == folder.parts[-3])
    expected = {row["id"]: row["text"] for row in manifest(release)}
    assert plain(name, folder) == expected
    python = Path(os.environ.get("XIANGYIN_TOOLKITS_PYTHON") or root / ".venv-toolkits/bin/python")
    toolkit = LOADS[name].split()[1].partition(".")[0]
    tried = [python, "-c", f"import {toolkit}"]
    if not python.exists() or subprocess.run(tried, capture_output=True).returncode:
        pytest.skip(f"{toolkit} is not in .venv-toolkits; make it with `make toolkits`")
    load = f"import json\nfolder = {str(folder)!r}\n{LOADS[name]}\nprint(json.dumps(found))"
    env = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    read = subprocess.run([str(python), "-c", load], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout.splitlines()[-1]) == expected


@pytest.mark.browser
def test_a_clip_on_the_page_is_heard_by_keys(team):
    """Somebody who chooses a corpus listens to many clips, and not everybody has a mouse."""
    page = team.context.new_page()
    page.goto(team.url)
    page.locator("h2 a.mono").first.click()
    buttons = page.locator("[data-play]")
    buttons.first.wait_for()
    with page.expect_response(lambda reply: "/audio" in reply.url) as reply:
        buttons.first.focus()
        page.keyboard.press("Enter")
    assert reply.value.status in (200, 206)
    page.wait_for_function(
        "() => document.querySelector('[data-play]').getAttribute('aria-pressed') === 'true'"
    )
    page.keyboard.press("ArrowDown")
    assert buttons.nth(1).evaluate("node => node === document.activeElement")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('[data-play]').getAttribute('aria-pressed') === 'false'"
    )
    page.locator("#grade").select_option("quiet")
    page.locator(".filters button").click()
    page.wait_for_url("**grade=quiet**")
    assert set(page.locator("[data-clips] tbody .badge").all_inner_texts()) == {"Quiet"}
    page.close()
