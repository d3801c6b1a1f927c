"""The walk: one function a step, each run by the commands and the HTTP interface that everybody uses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demo import cast, scribes, sound
from demo.cast import Collection, Condition, Voice
from demo.people import Person, Server
from demo.relay import CuttingRelay
from demo.speech import Synthesiser


@dataclass(frozen=True)
class Recorded:
    """One take of one speaker, and what was asked of it."""

    person: Person
    voice: Voice
    condition: Condition
    sentence: int | None  # None: the free talk
    row: Mapping[str, Any]


@dataclass
class Walk:
    """What the steps have made so far.

    Attributes
    ----------
    home : Path
        Where every person of the walk has a folder.
    """

    home: Path
    server: Server
    operator: Person
    speakers: dict[str, Person] = field(default_factory=dict)
    recorded: list[Recorded] = field(default_factory=list)
    prompts: dict[str, list[str]] = field(default_factory=dict)

    def person(self, name: str) -> Person:
        """Somebody new, with a machine of their own."""
        (self.home / name).mkdir()
        return Person(name, self.home / name)

    def join(self, collection: Collection, role: str, name: str, *attributes: str, via: int = 0) -> Person:
        """Invite somebody and let them join; `via` is a port that leads to the server."""
        person = self.person(name)
        invited = self.operator.run("invite", collection.slug, "--role", role, "--data", self.data)
        url = invited[0]["url"]
        if via:
            url = url.replace(f":{urlsplit(self.server.address).port}/", f":{via}/")
        person.run("join", url, "--yes", *attributes)
        return person

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self.home / "server"


def create_projects(walk: Walk) -> None:
    """Make the projects and give them their prompts."""
    for collection in cast.COLLECTIONS:
        walk.operator.run(
            *("project", "create", collection.slug, "--title", collection.title),
            *("--language", collection.language, "--orthography", collection.orthography),
            *("--data", walk.data),
        )
        prompts = walk.operator.home / f"{collection.slug}.txt"
        prompts.write_text("\n".join(collection.prompts) + "\n", encoding="utf-8")
        walk.operator.run("project", "prompts", collection.slug, prompts, "--data", walk.data)


def enrol_speakers(walk: Walk, relay_port: int) -> None:
    """Every speaker joins by invitation; the first one's network goes through the relay."""
    for collection in cast.COLLECTIONS:
        for voice in collection.voices:
            about = ("--gender", voice.gender, "--age-band", "30-39", "--region", collection.region)
            tongue = ("--native-language", collection.language, "--dialect", collection.title.split(",")[0])
            via = 0 if walk.speakers else relay_port
            person = walk.join(collection, "speaker", voice.name, *about, *tongue, via=via)
            walk.speakers[voice.name] = person
            project = person.api().get("/api/v1/project")
            walk.prompts[collection.slug] = [prompt["id"] for prompt in project["prompts"]]


def record(walk: Walk) -> Iterator[Recorded]:
    """Everybody reads under two grades; one tries café noise as quiet; one talks freely."""
    synthesiser = Synthesiser(sound.SAMPLE_RATE_HZ)
    for collection in cast.COLLECTIONS:
        for voice in collection.voices:
            for condition in cast.CONDITIONS:
                for sentence in voice.sentences:
                    yield from _record(walk, synthesiser, collection, voice, condition, sentence)
    collection = cast.COLLECTIONS[0]
    first, last = collection.voices[0], collection.voices[-1]
    yield from _record(walk, synthesiser, collection, last, cast.TOO_NOISY, last.sentences[0])
    yield from _record(walk, synthesiser, collection, first, cast.CONDITIONS[1], None)


def _record(
    walk: Walk,
    synthesiser: Synthesiser,
    collection: Collection,
    voice: Voice,
    condition: Condition,
    sentence: int | None,
) -> Iterator[Recorded]:
    person = walk.speakers[voice.name]
    words: tuple[object, ...] = ("--style", "monologue")
    if sentence is None:
        samples = sound.session(synthesiser, voice, [cast.FREE_TALK], condition)
    else:
        samples = sound.session(synthesiser, voice, [collection.prompts[sentence]], condition)
        words = ("--style", "read", "--prompt", walk.prompts[collection.slug][sentence])
    name = "free" if sentence is None else str(sentence)
    path = person.home / f"{condition.grade}-{condition.noise}-{name}.wav"
    sound.write(path, samples)
    rows = person.run(
        *("record", "--grade", condition.grade, "--source", path, "--no-screen", *words), fine=(0, 1)
    )
    for row in rows:
        one = Recorded(person, voice, condition, sentence, row)
        walk.recorded.append(one)
        yield one


@dataclass(frozen=True)
class Sending:
    """What became of the takes on the server."""

    states: Mapping[str, int]
    cuts: int
    receipts_checked: int
    reasons: tuple[str, ...]


def send(walk: Walk, relay: CuttingRelay) -> Sending:
    """Upload everything; the relay cuts one connection in the middle. Then check every receipt offline."""
    states: Counter[str] = Counter()
    reasons: list[str] = []
    checked = 0
    for person in walk.speakers.values():
        for row in person.run("send", fine=(0, 1)):
            states[row["state"]] += 1
            reasons += [reason["code"] for reason in row["reasons"]]
        receipts = sorted((person.takes / "receipts").glob("*.receipt.json"))
        checked += sum(row["good"] for row in person.run("receipts", "verify", *receipts))
    return Sending(dict(states), relay.cuts, checked, tuple(reasons))


def transcribe(walk: Walk, collection: Collection) -> list[scribes.Done]:
    """Two people write each clip down, blind; where they differ, a third decides."""
    said = {one.row["clip_id"]: one.sentence for one in walk.recorded}

    def hearing(differently: Mapping[int, str]) -> scribes.Typing:
        def text(task: Mapping[str, Any]) -> str:
            sentence = said[task["clip_id"]]
            if sentence is None:
                return cast.FREE_TALK
            return differently.get(sentence, collection.prompts[sentence])

        return text

    meant, hurried, misheard = hearing({}), hearing(collection.wrong), hearing(collection.heard)
    done: list[scribes.Done] = []
    people = (("transcriber", hurried), ("transcriber", misheard), ("reviewer", meant))
    for number, (role, types) in enumerate(people, 1):
        person = walk.join(collection, role, f"{collection.slug}-{role}-{number}")
        done += scribes.work(person.api(), types, misheard if types is misheard else meant)
    return done


@dataclass(frozen=True)
class Released:
    """One release on the puller's disk."""

    name: str
    folder: Path
    header: Mapping[str, Any]
    exports: Mapping[str, Path]

    @property
    def disagreement(self) -> float:
        """Mean error rate between the two people who wrote each clip, from 0 to 1."""
        rows = self.manifest.read_text(encoding="utf-8").splitlines()
        rates = [json.loads(row)["agreement_cer"] or 0.0 for row in rows]
        return sum(rates) / len(rates)

    @property
    def manifest(self) -> Path:
        """The line-a-clip table."""
        return self.folder / "manifest.jsonl"


def release(walk: Walk, collection: Collection, formats: tuple[str, ...]) -> Released:
    """Cut a release, pull it as the ASR team over HTTP, verify the copy, write it for toolkits."""
    name = f"{collection.slug}-1.0.0"
    walk.operator.run("release", "cut", collection.slug, name, "--data", walk.data)
    team = walk.join(collection, "consumer", f"{collection.slug}-asr-team")
    folder = team.home / name
    team.say("pull", f"{walk.server.address}/api/v1/releases/{name}", "--to", folder)
    team.run("release", "verify", folder)
    exports = {}
    for form in formats:
        exports[form] = team.home / form
        team.say("export", folder, "--format", form, "--to", exports[form])
    header = json.loads((folder / "release.json").read_text(encoding="utf-8"))
    return Released(name, folder, header, exports)


def leave_work(walk: Walk) -> None:
    """Leave clips that wait for a transcriber, and one on which two people disagree for the reviewer."""
    collection = cast.COLLECTIONS[0]
    # Not the first, whose network went through the relay, nor one who has read this sentence already.
    voice = collection.voices[2]
    person, synthesiser = walk.speakers[voice.name], Synthesiser(sound.SAMPLE_RATE_HZ)
    sentence, other = next(iter(collection.heard.items()))

    def always(text: str) -> scribes.Typing:
        return lambda _task: text

    def give(*sentences: int) -> None:
        for one in sentences:
            list(_record(walk, synthesiser, collection, voice, cast.CONDITIONS[0], one))
        person.run("send", fine=(0, 1))

    give(sentence)
    for number, text in enumerate((collection.prompts[sentence], other), 1):
        writer = walk.join(collection, "transcriber", f"{collection.slug}-later-{number}")
        scribes.work(writer.api(), always(text), always(text))
    give(*[one for one in range(len(collection.prompts)) if one not in voice.sentences][:3])
