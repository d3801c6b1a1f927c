"""A small corpus: rows and tiny sounds made at test time, as they stand once texts are final."""

from __future__ import annotations

import hashlib
import io
import itertools
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import soundfile
import sqlalchemy as sa
import waitress.server
import waitress.wasyncore

from corpus import digests, header, http_source, keys, manifest, migrate, people, sources, streaminfo, tables
from corpus.database import begin, open_engine
from corpus.dataset import Copy, open_copy
from corpus.draft import Wish
from corpus.header import Audio, FileEntry, Header
from corpus.manifest import Line, audio_path, seconds
from corpus.release import Cut, cut
from corpus.settings import Settings
from corpus.shelf import Shelf
from corpus.split import Plan
from corpus.store import LocalStore
from server import create_app
from transcribe import text

NOW_MS = 1_800_000_000_000
RULESET = "zh-Hant"
RATE_HZ = 16_000
PROMPTS = [
    "今天天氣真好",
    "我們一起去海邊",
    "他昨天買了一本書",
    "晚上想吃什麼",
    "這條路通往山上",
    "請把門關起來",
    "孩子們在院子裡玩",
    "明天早上要開會",
    "老師說的話很有道理",
    "那家店的麵很好吃",
    "船慢慢靠近港口",
    "雨下了一整夜",
]


def flac(seed: int, samples: int = 4000) -> bytes:
    """A short noise, encoded once."""
    noise = np.random.default_rng(seed).integers(-800, 800, samples, dtype=np.int16)
    file = io.BytesIO()
    soundfile.write(file, noise, RATE_HZ, format="FLAC", subtype="PCM_16")
    return file.getvalue()


@dataclass
class World:
    """A data folder and what to fill it with."""

    data: Path
    engine: sa.Engine = field(init=False)
    store: LocalStore = field(init=False)
    shelf: Shelf = field(init=False)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    people: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.open()
        migrate.upgrade(self.engine)

    def open(self) -> None:
        self.engine = open_engine(f"sqlite:///{self.data / 'xiangyin.sqlite'}")
        self.store = LocalStore(self.data / "blobs")
        signer = keys.signer(self.data / "keys")
        self.shelf = Shelf(self.engine, self.store, self.data / "releases", signer, "inline")

    def add(self, table: sa.Table, **values: Any) -> None:
        with begin(self.engine) as db:
            db.execute(sa.insert(table).values(**values))

    def project(self, slug: str = "tales", title: str = "Tales of the coast") -> str:
        consent = {"version": "consent-1", "text": "You may use my voice.", "license": "CC-BY-4.0"}
        self.add(
            tables.project,
            id=slug,
            title=title,
            language="cmn-Hant-TW",
            orthography=RULESET,
            profile_id="standard",
            terms={"version": "terms-1", "text": "Paid by the second."},
            consent=consent,
            created_ms=NOW_MS,
        )
        return slug

    def prompt(self, words: str, project: str = "tales") -> str:
        number = next(self.numbers)
        name = f"{project}-{number:05d}"
        folded = " ".join(text.fold(words, RULESET))
        self.add(tables.prompt, id=name, project_id=project, seq=number, text=words, folded=folded)
        return name

    def speaker(self, project: str = "tales", known: str | None = None, **attributes: str) -> str:
        number = next(self.numbers)
        name = known or f"person-{number}"
        if known is None:
            speaker_id = f"S{number:08d}"
            told = {"gender": "female", "dialect": "coast", "age_band": "30-39", **attributes}
            self.add(
                tables.person,
                id=name,
                speaker_id=speaker_id,
                display_name=f"Real Name {number}",
                attributes=told,
                created_ms=NOW_MS,
            )
            self.people[name] = speaker_id
        self.add(
            tables.consent,
            id=f"consent-{number}",
            person_id=name,
            project_id=project,
            version="consent-1",
            text_sha256="0" * 64,
            given_ms=NOW_MS,
        )
        return name

    def consent_of(self, person: str, project: str) -> str:
        c = tables.consent.c
        query = sa.select(c.id).where(c.person_id == person, c.project_id == project)
        with begin(self.engine) as db:
            return str(db.execute(query).scalar_one())

    def clip(
        self,
        person: str,
        words: str | None = "今天天氣真好。",
        *,
        project: str = "tales",
        prompt: str | None = None,
        session: str | None = None,
        style: str = "monologue",
        grade: str = "quiet",
        state: str = "accepted",
        snr_db: float | None = 31.25,
        sound: bytes | None = None,
        status: str = "complete",
        recorded_at: str = "2026-10-01T08:00:00Z",
        meta: Mapping[str, Any] | None = None,
    ) -> str:
        number = next(self.numbers)
        clip_id = str(uuid.UUID(int=0xABCDEF << 96 | number))
        data = sound if sound is not None else flac(number)
        info = streaminfo.parse(data)
        assert info is not None
        digest = self.store.put_bytes(data)
        now_ms = NOW_MS + number
        self.add(
            tables.clip,
            id=clip_id,
            item_id=uuid.UUID(int=number).hex,
            project_id=project,
            person_id=person,
            consent_id=self.consent_of(person, project),
            session_id=session or f"session-{person}",
            recording_id=f"rec-{number}",
            channel=0,
            start_sample=0,
            style=style,
            grade_wanted=grade,
            grade=grade,
            prompt_id=prompt,
            device_class="headset",
            recorded_at=recorded_at,
            upload_sha256=digest,
            sha256=digest,
            pcm_md5=info.pcm_md5,
            bytes=len(data),
            samples=info.samples,
            sample_rate_hz=info.sample_rate_hz,
            channels=1,
            meta=meta or {},
            state=state,
            received_ms=now_ms,
        )
        figures = {"snr_db": snr_db, "speech_dbfs": -24.0, "noise_dbfs": -55.25, "noise_dba": None}
        self.add(
            tables.measurement,
            clip_id=clip_id,
            method="levels-1",
            figures=figures,
            decision="accept",
            findings=[],
            profile_id="standard",
            profile_version="1",
            measured_ms=now_ms,
        )
        if words is not None:
            self.text(clip_id, words, status=status, project=project)
        return clip_id

    def text(self, clip_id: str, words: str, *, status: str = "complete", project: str = "tales") -> None:
        number = next(self.numbers)
        writer = "writer"
        if writer not in self.people:
            self.add(
                tables.person, id=writer, speaker_id=None, display_name=None, attributes={}, created_ms=NOW_MS
            )
            self.people[writer] = ""
        self.add(
            tables.assignment,
            id=f"a{number}",
            project_id=project,
            clip_id=clip_id,
            person_id=writer,
            stage="second",
            state="submitted",
            draft=words,
            version=1,
            leased_ms=NOW_MS,
            expires_ms=NOW_MS,
        )
        with begin(self.engine) as db:
            done = db.execute(
                sa.insert(tables.transcript).values(
                    clip_id=clip_id,
                    assignment_id=f"a{number}",
                    person_id=writer,
                    stage="second",
                    text_raw=words,
                    text=words,
                    applied=[],
                    events=[],
                    status=status,
                    ruleset=RULESET,
                    rules_version="rules-1",
                    submitted_ms=NOW_MS + number,
                    digest=digests.of_text(clip_id, words, words, [], status),
                )
            )
            assert done.inserted_primary_key is not None
            db.execute(
                sa.insert(tables.final_text).values(
                    clip_id=clip_id,
                    transcript_id=done.inserted_primary_key[0],
                    transcribers=2,
                    agreement_cer=0.0125,
                    decided_ms=NOW_MS + number,
                )
            )

    def villages(self, speakers: int = 8, clips: int = 3) -> None:
        """A project whose speakers read each their own prompts, in three grades."""
        self.project()
        for number in range(speakers):
            person = self.speaker(gender="female" if number % 2 else "male")
            for turn in range(clips):
                words = PROMPTS[(number + turn) % len(PROMPTS)] + "一二三四五六七八九十"[number % 10] + "。"
                prompt = self.prompt(words.replace("。", "") + "啊" * turn + "。")
                grade = ("quiet", "moderate", "noisy")[turn % 3]
                self.clip(person, words, prompt=prompt, grade=grade, style="read")

    def cut(self, name: str = "r1", **wish: Any) -> Cut:
        return cut(self.shelf, Wish("tales", name, **wish))

    def first_clip(self) -> tuple[str, str]:
        """Id and digest of the clip with the smallest id."""
        c = tables.clip.c
        with begin(self.engine) as db:
            row = db.execute(sa.select(c.id, c.sha256).order_by(c.id)).first()
        assert row is not None
        return row.id, row.sha256

    def withdraw(self, clip_id: str) -> None:
        """What the withdrawal of a clip does to its row."""
        c = tables.clip.c
        with begin(self.engine) as db:
            db.execute(
                sa.update(tables.clip)
                .where(c.id == clip_id)
                .values(state="withdrawn", withdrawn_ms=NOW_MS + 9_000_000)
            )


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "data").mkdir()
    return World(tmp_path / "data")


@pytest.fixture(scope="session")
def cut_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with `villages` and release r1, made once and copied for each test."""
    data = tmp_path_factory.mktemp("once") / "data"
    data.mkdir()
    made = World(data)
    made.villages()
    made.cut("r1")
    made.engine.dispose()
    return data


@pytest.fixture
def cut_world(cut_once: Path, tmp_path: Path) -> World:
    """A world of one's own in which r1 was cut."""
    shutil.copytree(cut_once, tmp_path / "data")
    copy = World(tmp_path / "data", numbers=itertools.count(1000))
    with begin(copy.engine) as db:
        p = tables.person.c
        rows = db.execute(sa.select(p.id, p.speaker_id)).all()
    copy.people = {row.id: row.speaker_id or "" for row in rows}
    return copy


# --- a server of releases, an honest one and one that is not ------------------------------------------


class Served:
    """A world behind the real application and the real server."""

    def __init__(self, world, **settings: str) -> None:
        self.world = world
        self.app = create_app(Settings(data=world.data, compute="inline", **settings))
        self.server = waitress.server.create_server(self.app, host="127.0.0.1", port=0, threads=8)
        self.url = f"http://127.0.0.1:{self.server.effective_port}"
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        self.token = self.member("consumer")

    def member(self, role: str, project: str | None = "tales") -> str:
        number = next(self.world.numbers)
        secret = f"token-{role}-{number}"
        self.world.add(
            tables.person,
            id=f"p{number}",
            speaker_id=None,
            display_name=None,
            attributes={},
            created_ms=0,
        )
        self.world.add(
            tables.membership,
            id=f"m{number}",
            person_id=f"p{number}",
            project_id=project,
            role=role,
            created_ms=0,
        )
        with begin(self.world.engine) as db:
            people.add_token(db, secret, f"m{number}", kind="bearer", now_ms=0, expires_ms=4_000_000_000_000)
        return secret

    def source(self, token: str | None = None) -> http_source.HttpSource:
        return http_source.HttpSource(f"{self.url}/api/v1", token or self.token, wait=lambda _s: None)

    def get(self, path: str, token: str | None = None, **headers: str) -> requests.Response:
        given = {"Authorization": f"Bearer {token or self.token}", **headers}
        return requests.get(self.url + path, headers=given, timeout=30, allow_redirects=False)

    def close(self) -> None:
        # In the loop's own thread: a socket closed under its select is an error there.
        everything = self.server._map
        self.server.trigger.pull_trigger(lambda: waitress.wasyncore.close_all(everything, ignore_all=True))
        self.thread.join(10)
        self.server.task_dispatcher.shutdown()


@pytest.fixture
def served_with(cut_world) -> Iterator[Callable[..., Served]]:
    """The server with settings of one's own."""
    made: list[Served] = []

    def start(**settings: str) -> Served:
        made.append(Served(cut_world, **settings))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def served(cut_world) -> Iterator[Served]:
    one = Served(cut_world)
    yield one
    one.close()


class Hostile:
    """Serves a good release with one thing changed by `bend`, which sees each reply before it is sent."""

    def __init__(self, folder: Path, bend) -> None:
        outer = self
        self.asked: list[tuple[str, dict[str, str]]] = []
        files = sources.FolderSource(folder)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.removeprefix("/api/v1/")
                outer.asked.append((path, dict(self.headers)))
                status, headers, body = 200, {}, b""
                if path == "releases/latest.json":
                    body = files.latest(None)[0]
                elif path.startswith("blobs/"):
                    digest = path.removeprefix("blobs/")
                    found = folder / manifest.audio_path(digest)
                    body = found.read_bytes() if found.is_file() else b""
                elif path.startswith("releases/"):
                    name = path.removeprefix("releases/")
                    name = "r1/release.json" if name == "r1" else name
                    body = files.small(name, 1 << 30) or b""
                    status = 200 if body or name.endswith(".jsonl") else 404
                else:
                    status = 404
                status, headers, body = bend(path, self, status, headers, body)
                if status is None:
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.source = http_source.HttpSource(
            f"http://127.0.0.1:{self.server.server_port}/api/v1", "t", wait=lambda _s: None
        )

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hostile(cut_world) -> Iterator:
    folder = cut_world.shelf.path("r1")
    made = []

    def start(bend) -> Hostile:
        made.append(Hostile(folder, bend))
        return made[-1]

    start.folder = folder
    yield start
    for one in made:
        one.close()


@pytest.fixture
def copy(cut_world: World) -> Copy:
    """Release r1, as its publisher has it."""
    return open_copy(cut_world.shelf.path("r1"))


@pytest.fixture(scope="session")
def a_line() -> Callable[..., Line]:
    """A good line; give fields to change them."""

    def make(number: int = 1, **fields: Any) -> Line:
        speaker = fields.pop("speaker_id", "S00000001")
        samples = fields.pop("samples", 16_000 + number)
        digest = f"{number:064x}"
        values: dict[str, Any] = {
            "id": f"{speaker}-{number:032x}",
            "audio": audio_path(fields.get("sha256", digest)),
            "sha256": digest,
            "pcm_md5": f"{number:032x}",
            "bytes": 5000,
            "samples": samples,
            "sample_rate_hz": 16_000,
            "channels": 1,
            "duration_s": seconds(samples, 16_000),
            "text": "今天天氣真好。",
            "text_raw": "今天天氣真好",
            "events": (),
            "language": "cmn-Hant-TW",
            "glottocode": None,
            "dialect": "coast",
            "orthography": "zh-Hant",
            "rules_version": "rules-1",
            "speaker_id": speaker,
            "gender": "female",
            "age_band": None,
            "region": None,
            "native_language": None,
            "session_id": f"s{speaker}",
            "recording_id": f"r{number}",
            "channel": 0,
            "start_sample": 0,
            "style": "monologue",
            "prompt_id": None,
            "grade": "quiet",
            "snr_db": 30.5,
            "speech_dbfs": -24.0,
            "noise_dbfs": -54.5,
            "noise_dba": None,
            "measure_method": "levels-1",
            "device_class": None,
            "recorded_on": "2026-10-01",
            "consent_version": "consent-1",
            "license": "CC-BY-4.0",
            "split": "train",
            "transcribers": 2,
            "agreement_cer": None,
            "first_release": "r1",
        }
        return Line(**{**values, **fields})

    return make


@pytest.fixture
def villages_plan() -> Plan:
    return Plan({"dev": 0.125, "test": 0.125})


AWKWARD = (
    '他說"好"，then left, ok',
    "[noise] (x) <noise> a|b",
    "{laugh} 好 {",
    "it costs $5 or $home.now",
    " leading and  double ",
    "全形\u3000空格\u00a0和\u2009細",
    "𪜶𠢕 ngo5 o\u0358\u030d",
    "NA",
    "null",
    "true",
    "12",
    "=1+1 'q' \\n #0x",
    '"',
    "<b>&amp; ]]>",
)


@dataclass
class Made:
    """A release made by hand, whose clips are pieces of longer recordings."""

    copy: Copy
    recordings: dict[tuple[str, int], np.ndarray]  # by recording and channel


def make_copy(folder: Path, lines: list[Line]) -> Copy:
    """A copy that holds these lines and a header that counts them."""
    lines = sorted(lines, key=lambda line: line.id)
    written = manifest.write(folder / manifest.FILE_NAME, lines)
    head = Header(
        name="hand",
        project="hand",
        title='By "hand": a\ttest',
        revision=1,
        schema_version=1,
        created_at="2026-10-02T00:00:00.000Z",
        previous=None,
        replaces=None,
        status="published",
        language="cmn-Hant-TW",
        orthography="zh-Hant",
        rules_version="rules-1",
        licenses=("CC-BY-4.0",),
        counts={"clips": written.lines},
        hours={},
        split={},
        split_notes=(),
        profiles=(),
        privacy_k=3,
        audio=Audio(written.lines, 0, 0),
        files={manifest.FILE_NAME: FileEntry(written.sha256, written.bytes)},
        ledger_head=None,
        made_with={},
    )
    raw = header.pretty(head)
    (folder / header.FILE_NAME).write_bytes(raw)
    return Copy(folder, head, header.sha256_of(raw), None)


@pytest.fixture(name="make_copy")
def _make_copy() -> Callable[[Path, list[Line]], Copy]:
    """`make_copy`, for tests that change a release's lines."""
    return make_copy


@pytest.fixture
def made(tmp_path: Path, a_line: Callable[..., Line]) -> Made:
    """Dialogues of two speakers on two channels, cut at pauses; every text is awkward for some reader."""
    folder = tmp_path / "made"
    rng = np.random.default_rng(7)
    texts = itertools.cycle(AWKWARD)
    numbers = itertools.count(1)
    lines, recordings = [], {}
    for split, pair in (("train", 1), ("train", 3), ("dev", 5), ("test", 7)):
        for take in range(2):
            recording = f"r{pair}t{take}"
            for channel in (0, 1):
                whole = rng.integers(-9000, 9000, 16_000 + 1000 * pair + 37 * channel, dtype=np.int16)
                recordings[recording, channel] = whole
                cuts = [0, 3001 + channel * 1500, 9000 + pair, len(whole)]
                for start, end in itertools.pairwise(cuts):
                    file = io.BytesIO()
                    soundfile.write(file, whole[start:end], RATE_HZ, format="FLAC", subtype="PCM_16")
                    data = file.getvalue()
                    digest = hashlib.sha256(data).hexdigest()
                    path = folder / audio_path(digest)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                    info = streaminfo.parse(data)
                    assert info is not None
                    number = next(numbers)
                    lines.append(
                        a_line(
                            number,
                            speaker_id=f"S{pair + channel:08d}",
                            sha256=digest,
                            pcm_md5=info.pcm_md5,
                            bytes=len(data),
                            samples=end - start,
                            text=next(texts),
                            dialect="north\tcoast\n$9 {x}\u0000",
                            style="dialogue",
                            session_id=f"session{pair}",
                            recording_id=recording,
                            channel=channel,
                            start_sample=start,
                            split=split,
                            prompt_id=None,
                            age_band="30-39",
                        )
                    )
    return Made(make_copy(folder, lines), recordings)
