"""`xiangyin demo`: the whole job, told step by step with its figures."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from protocol.errors import CodedError

if TYPE_CHECKING:
    from types import FrameType

    from demo.scribes import Done
    from demo.walk import Recorded, Released, Sending, Walk

MARKER = ".xiangyin-demo"
FORMATS = ("kaldi", "lhotse")


class FolderTaken(CodedError):
    """The folder holds something that the demonstration did not make."""

    code = "DEMO_FOLDER_TAKEN"


@click.command(epilog="Example:  xiangyin demo --serve")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    help="Folder for everything; one that an earlier demonstration made is made anew.",
)
@click.option("--serve", is_flag=True, help="Leave the site up at the end, with a link for each role.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def demo(data: Path, serve: bool, form: str) -> None:
    """Run the whole job on this machine, with real code over real HTTP.

    Starts a server, makes two projects, enrols speakers, records synthetic speech through the recorder's own
    path under two noise grades, uploads it over a network that breaks off, transcribes, reviews, cuts
    releases, pulls and exports them.
    """
    from demo import cast
    from demo import walk as steps
    from demo.people import Person, Server
    from demo.relay import CuttingRelay
    from recorder.upload import CHUNK_BYTES

    signal.signal(signal.SIGTERM, _interrupt)  # else the server would outlive us
    began = time.monotonic()
    home = _folder(data.resolve())
    tell = _Teller(quiet=form == "json")
    tell.title(home)
    server = Server(home / "server", home / "server.log")
    try:
        (home / "operator").mkdir()
        walk = steps.Walk(home, server, Person("operator", home / "operator"))
        tell.step("Server", f"answers at {server.address}")
        steps.create_projects(walk)
        tell.projects()
        address = urlsplit(server.address)
        target = (address.hostname or "127.0.0.1", address.port or 80)
        with CuttingRelay(target, CHUNK_BYTES) as relay:
            steps.enrol_speakers(walk, relay.port)
            tell.step(
                "Speakers", f"{len(walk.speakers)} joined by one-time invitations; consent is on record"
            )
            tell.recording(steps.record(walk))
            sent = steps.send(walk, relay)
            tell.sending(sent)
        texts = {one.slug: steps.transcribe(walk, one) for one in cast.COLLECTIONS}
        tell.texts([done for some in texts.values() for done in some])
        released = [steps.release(walk, one, FORMATS) for one in cast.COLLECTIONS]
        tell.released(released)
        elapsed_s = time.monotonic() - began
        tell.end(released, elapsed_s)
        report = json.dumps(_as_json(walk, sent, released, elapsed_s), ensure_ascii=False)
        (home / "report.json").write_text(report + "\n", encoding="utf-8")
        if form == "json":
            click.echo(report)
        if serve:
            _leave_up(walk, tell)
    finally:
        server.stop()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _folder(home: Path) -> Path:
    """An empty folder that says whose it is."""
    if home.exists() and any(home.iterdir()):
        if not (home / MARKER).exists():
            raise FolderTaken(folder=str(home))
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).touch()
    return home


class _Teller:
    """Says what happens, a numbered step at a time."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._steps = 0

    def line(self, text: str = "") -> None:
        if not self._quiet:
            click.echo(text)

    def step(self, name: str, text: str) -> None:
        self._steps += 1
        self.line(f"\n{self._steps}. {click.style(name, bold=True)}: {text}")

    def title(self, home: Path) -> None:
        self.line(click.style("Xiangyin 鄉音: from microphone to manifest", bold=True))
        self.line("The voices are synthetic (espeak-ng, made now); every figure below is measured.")
        self.line(f"Everything is kept in {home}")

    def projects(self) -> None:
        from demo import cast

        self.step("Projects", f"{len(cast.COLLECTIONS)}")
        for one in cast.COLLECTIONS:
            self.line(
                f"   {one.slug:<10}{one.title} ({one.language}, rules {one.orthography}), "
                f"{len(one.prompts)} prompts"
            )

    def recording(self, takes: Iterable[Recorded]) -> None:
        self.step("Recording", "room tone first, cut at pauses, measured and judged at once")
        self.line("   voice    grade     noise       SNR mixed  measured (80 % interval)    verdict")
        misses = []
        for one in takes:
            row, asked = one.row, one.condition
            misses.append(abs(row["snr_db"] - asked.snr_db))
            interval = f"({row['snr_low_db']:.1f} to {row['snr_high_db']:.1f})"
            self.line(
                f"   {one.voice.name:<9}{asked.grade:<10}{asked.noise.removesuffix('_noise'):<10}"
                f"{asked.snr_db:>8.1f} dB {row['snr_db']:>8.1f} dB {interval:<18} {row['verdict']}"
            )
            for finding in row["findings"]:
                self.line(f"            {finding['code']}: {finding['message']}")
        self.line(
            f"   {len(misses)} takes; the measured SNR is off by {sorted(misses)[len(misses) // 2]:.1f} dB "
            f"at the median, {max(misses):.1f} dB at most"
        )

    def sending(self, sent: Sending) -> None:
        self.step("Upload", "resumable, over a network that breaks off once")
        states = ", ".join(f"{count} {state}" for state, count in sorted(sent.states.items()))
        self.line(f"   {sum(sent.states.values())} clips: {states}")
        for reason in sorted(set(sent.reasons)):
            self.line(f"   refused for {reason}, by the same code on laptop and server")
        self.line(
            f"   connections cut in the middle of a clip: {sent.cuts}; resumed from the last whole chunk"
        )
        self.line(f"   receipts checked offline (signature, place in the log): {sent.receipts_checked}")

    def texts(self, done: list[Done]) -> None:
        stages = Counter(one.stage for one in done)
        mended = Counter(code for one in done for code in one.mended)
        refused = Counter(code for one in done for code in one.refused)
        self.step("Transcripts", "leased, typed, checked by the rules, written twice blind")
        self.line("   " + ", ".join(f"{count} {stage}" for stage, count in stages.items()))
        self.line("   mended without changing a word: " + _counts(mended))
        self.line("   refused with suggestions, then corrected by the person: " + _counts(refused))
        for one in _first_of_each(done):
            self.line(f"   {','.join(one.mended or one.refused):<12} {one.typed}  →  {one.text}")

    def released(self, released: list[Released]) -> None:
        self.step("Releases", "cut, pulled over HTTP as the ASR team, verified, exported")
        self.line("   release         clips  minutes  speakers  train  dev  test  left out  agreement")
        for one in released:
            counts = one.header["counts"]
            self.line(
                f"   {one.name:<16}{counts['clips']:>5}{60 * one.header['hours']['total']:>9.1f}"
                f"{counts['speakers']:>10}{counts['train']:>7}{counts['dev']:>5}{counts['test']:>6}"
                f"{counts['excluded']:>10}{one.disagreement:>9.1%} of characters differ"
            )
        for one in released:
            for form, folder in one.exports.items():
                self.line(f"   {form:<8}{_shown(folder)}")

    def end(self, released: list[Released], elapsed_s: float) -> None:
        self.line(f"\nDone in {elapsed_s:.0f} s. A line a clip:")
        for one in released:
            self.line(f"   {_shown(one.manifest)}")


def _shown(path: Path) -> str:
    """As short as the reader's folder allows."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _counts(codes: Counter[str]) -> str:
    return ", ".join(f"{code} ×{count}" for code, count in sorted(codes.items())) or "none"


def _first_of_each(done: list[Done]) -> list[Done]:
    """One example for each set of codes."""
    seen: dict[tuple[str, ...], Done] = {}
    for one in done:
        if one.mended or one.refused:
            seen.setdefault((*one.mended, *one.refused), one)
    return list(seen.values())


def _as_json(walk: Walk, sent: Sending, released: list[Released], elapsed_s: float) -> dict[str, Any]:
    return {
        "takes": [
            {"speaker": one.voice.name, "grade": one.condition.grade, "snr_mixed_db": one.condition.snr_db}
            | {key: one.row[key] for key in ("clip_id", "snr_db", "snr_low_db", "snr_high_db", "verdict")}
            for one in walk.recorded
        ],
        "sending": asdict(sent),
        "releases": [
            {
                "manifest": str(one.manifest),
                "exports": {k: str(v) for k, v in one.exports.items()},
                **one.header,
            }
            for one in released
        ],
        "elapsed_s": round(elapsed_s, 1),
    }


def _leave_up(walk: Walk, tell: _Teller) -> None:
    """Print a link for each role, with work for each, and wait until somebody ends it."""
    from demo import cast
    from demo import walk as steps

    steps.leave_work(walk)
    tell.line(f"\nThe site is up at {walk.server.address}. Each link signs one person in:")
    slug = cast.COLLECTIONS[0].slug
    for role in ("transcriber", "reviewer", "speaker", "consumer"):
        link = walk.operator.run("invite", slug, "--role", role, "--data", walk.data)[0]["url"]
        tell.line(f"   {role:<12}{link}")
    tell.line(f"   {'operator':<12}{walk.server.operator_link}")
    tell.line("Ctrl-C ends it.")
    try:
        walk.server.wait()
    except KeyboardInterrupt:
        tell.line()
