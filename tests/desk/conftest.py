"""A project with people and accepted clips: as rows for tests of text, by real upload for the browser."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import threading
import uuid
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from corpus import tables
from corpus.database import begin, open_engine

RULESET = "zh-Hant"
NOW_MS = 1_800_000_000_000


@dataclass
class World:
    """A database and what to fill it with."""

    engine: sa.Engine
    project_id: str = "tales"
    numbers: itertools.count = field(default_factory=lambda: itertools.count(1))

    def person(self, name: str, role: str = "transcriber") -> str:
        with begin(self.engine) as db:
            db.execute(
                sa.insert(tables.person).values(
                    id=name, speaker_id=None, display_name=name, attributes={}, created_ms=NOW_MS
                )
            )
            db.execute(
                sa.insert(tables.membership).values(
                    id=f"m-{name}", person_id=name, project_id=self.project_id, role=role, created_ms=NOW_MS
                )
            )
        return name

    def clip(self, speaker: str = "voice", style: str = "monologue", speech_s: float = 4.0) -> str:
        clip_id = str(uuid.UUID(int=next(self.numbers)))
        with begin(self.engine) as db:
            db.execute(
                sa.insert(tables.clip).values(
                    id=clip_id,
                    item_id=clip_id,
                    project_id=self.project_id,
                    person_id=speaker,
                    consent_id="c",
                    session_id="s",
                    recording_id="r",
                    channel=0,
                    start_sample=0,
                    style=style,
                    grade_wanted="quiet",
                    grade="quiet",
                    recorded_at="2026-01-01T00:00:00Z",
                    upload_sha256="0" * 64,
                    sha256="0" * 64,
                    pcm_md5="0" * 32,
                    bytes=1,
                    samples=16000 * 5,
                    sample_rate_hz=16000,
                    channels=1,
                    meta={},
                    state="accepted",
                    received_ms=NOW_MS + next(self.numbers),
                )
            )
            db.execute(
                sa.insert(tables.measurement).values(
                    clip_id=clip_id,
                    method="m",
                    figures={"speech_s": speech_s, "snr_db": 31.0},
                    decision="accept",
                    findings=[],
                    profile_id="p",
                    profile_version="1",
                    measured_ms=NOW_MS,
                )
            )
        return clip_id


@pytest.fixture
def world(engine):
    """A project `tales` with a speaker `voice`."""
    with begin(engine) as db:
        db.execute(
            sa.insert(tables.project).values(
                id="tales",
                title="Tales",
                language="zh-Hant-TW",
                orthography=RULESET,
                profile_id="default",
                terms={"version": "1", "text": "t"},
                consent={"version": "1", "text": "c", "license": "CC0-1.0"},
                created_ms=NOW_MS,
            )
        )
    made = World(engine)
    made.person("voice", "speaker")
    with begin(engine) as db:
        db.execute(
            sa.insert(tables.consent).values(
                id="c", person_id="voice", project_id="tales", version="1", text_sha256="", given_ms=NOW_MS
            )
        )
    return made


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request, tmp_path):
    """A fresh database of each kind."""
    if request.param == "sqlite":
        made = open_engine(f"sqlite:///{tmp_path / 'corpus.sqlite'}")
    else:
        url = request.getfixturevalue("postgres")
        made = open_engine(url)
        tables.metadata.drop_all(made)
    tables.metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of our own on a socket in a temporary folder; its URL."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(folders[-1]) if folders else None)
    if found is None:
        pytest.skip("no PostgreSQL server programs: apt-get install postgresql")
    programs = Path(found).parent
    as_user: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="xy-pg-"))  # short: a socket's path has a limit
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("nobody")
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    data = folder / "data"
    run = partial(subprocess.run, check=True, capture_output=True, cwd="/")
    options = ["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    run([*as_user, programs / "initdb", "-D", data, "-U", "corpus", *options])
    serve = f"-k {folder} -c listen_addresses='' -c fsync=off -c synchronous_commit=off"
    control = [*as_user, programs / "pg_ctl", "-D", data, "-w"]
    run([*control, "-l", folder / "log", "-o", serve, "start"])
    yield f"postgresql+psycopg://corpus@/postgres?host={folder}"
    run([*control, "-m", "immediate", "stop"])
    shutil.rmtree(folder, ignore_errors=True)


# --- a real server and a real browser ---------------------------------------------------------------


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """The whole server on a free port: (site, address)."""
    import waitress

    import server
    from corpus.settings import Settings

    site = server.open_site(Settings(data=tmp_path_factory.mktemp("site")))
    running = waitress.create_server(
        server.create_app(site.settings, site), host="127.0.0.1", port=0, threads=8
    )
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    yield site, f"http://127.0.0.1:{running.effective_port}"
    running.close()


@dataclass
class Desk:
    """A project of its own on the live server, with a speaker who uploads and pages for every role."""

    site: object
    address: str
    browser: object
    project_id: str
    speaker_token: str = ""
    contexts: list = field(default_factory=list)

    def invite(self, role: str) -> str:
        from corpus import people

        secret = secrets.token_hex(32)
        with begin(self.site.engine) as db:
            people.invite(
                db,
                secret,
                project_id=self.project_id,
                role=role,
                now_ms=self.site.clock_ms(),
                expires_ms=self.site.clock_ms() + 3_600_000,
            )
        return secret

    def page(self):
        context = self.browser.new_context(
            base_url=self.address, locale="zh-TW", viewport={"width": 1200, "height": 900}
        )
        context.set_default_timeout(15_000)
        self.contexts.append(context)
        return context.new_page()

    def open(self, role: str):
        """A page of a new person who joined in the browser."""
        page = self.page()
        page.goto(f"/join/{self.invite(role)}")
        page.locator("main button.primary").click()
        page.locator("main .mono").wait_for()
        return page

    def speaker(self):
        """A page of the speaker who uploads, signed in by their key."""
        page = self.page()
        page.goto("/")
        page.locator("#key").fill(self.speaker_token)
        page.locator("main button.primary").click()
        page.wait_for_url("**/me")
        return page

    def join_speaker(self) -> None:
        import requests

        reply = requests.post(
            f"{self.address}/api/v1/join",
            json={
                "invite": self.invite("speaker"),
                "consent": {"version": "1", "yes": True},
                "attributes": {
                    "gender": "female",
                    "age_band": "60-69",
                    "region": "Lukang",
                    "native_language": "nan",
                },
            },
            timeout=30,
        )
        reply.raise_for_status()
        self.speaker_token = reply.json()["token"]

    def upload(self, prompt: str | None = None) -> str:
        """One clip by the real intake, accepted."""
        import requests

        from protocol.clip import ClipMeta

        prompt_id = None
        if prompt is not None:
            prompt_id = f"p-{secrets.token_hex(4)}"
            with begin(self.site.engine) as db:
                db.execute(
                    sa.insert(tables.prompt).values(
                        id=prompt_id, project_id=self.project_id, seq=1, text=prompt, folded=prompt
                    )
                )
        sound = flac(seed=secrets.randbelow(10_000))
        clip_id = str(uuid.uuid4())
        meta = ClipMeta(
            session_id="s1",
            recording_id="r1",
            style="read" if prompt else "monologue",
            grade="quiet",
            consent_version="1",
            recorded_at="2026-01-01T08:00:00Z",
            prompt_id=prompt_id,
            lead_in_s=0.5,
        )
        values = {
            "clip_id": clip_id,
            "sha256": hashlib.sha256(sound).hexdigest(),
            "filename": "take.flac",
            "meta": json.dumps(meta.as_json()),
        }
        reply = requests.post(
            f"{self.address}/api/v1/uploads",
            headers={
                "Authorization": f"Bearer {self.speaker_token}",
                "Tus-Resumable": "1.0.0",
                "Upload-Length": str(len(sound)),
                "Upload-Metadata": ",".join(
                    f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items()
                ),
                "Content-Type": "application/offset+octet-stream",
            },
            data=sound,
            timeout=120,
        )
        assert reply.status_code == 201, reply.text
        assert self.clip_state(clip_id) == "accepted", self.findings(clip_id)
        return clip_id

    def clip_state(self, clip_id: str) -> str:
        with begin(self.site.engine) as db:
            return db.execute(sa.select(tables.clip.c.state).where(tables.clip.c.id == clip_id)).scalar_one()

    def findings(self, clip_id: str) -> object:
        m = tables.measurement
        with begin(self.site.engine) as db:
            return db.execute(sa.select(m.c.findings).where(m.c.clip_id == clip_id)).scalars().all()

    def final_text(self, clip_id: str) -> str:
        from corpus import transcripts

        with begin(self.site.engine) as db:
            return transcripts.final(db, clip_id).transcript.text

    def drafts(self) -> list[str]:
        a = tables.assignment
        with begin(self.site.engine) as db:
            query = sa.select(a.c.draft).where(a.c.project_id == self.project_id).order_by(a.c.leased_ms)
            return list(db.execute(query).scalars())


def flac(seed: int) -> bytes:
    """Four seconds of something that measures like clean speech."""
    import soundfile

    from noise_profiles import signals

    rate = 16_000
    speech = signals.speech_like(4 * rate, rate, seed, lead_in_s=0.5)
    noise = signals.pink_noise(4 * rate, rate, seed)
    mixed = signals.mix(speech, noise, 45.0, rate).samples
    file = io.BytesIO()
    soundfile.write(file, mixed, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


@pytest.fixture
def desk(live, chromium):
    """A fresh project with a speaker, on the live server."""
    site, address = live
    made = Desk(site, address, chromium, f"tales-{secrets.token_hex(4)}")
    with begin(site.engine) as db:
        db.execute(
            sa.insert(tables.project).values(
                id=made.project_id,
                title="鹿港故事",
                language="zh-Hant-TW",
                orthography=RULESET,
                profile_id=_default_profile(),
                terms={"version": "1", "text": "每一秒都算數。"},
                consent={"version": "1", "text": "我同意。", "license": "CC-BY-4.0"},
                created_ms=NOW_MS,
            )
        )
    made.join_speaker()
    yield made
    for context in made.contexts:
        context.close()


def _default_profile() -> str:
    from noise_profiles import profile

    return profile.DEFAULT_PROFILE_ID
