"""``doctor``: what works on this machine, part by part; each line ok or what to do."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from corpus.settings import Settings
from protocol.errors import CodedError

_EARLIEST_S = 1_750_000_000  # no build of this program is older
_LIBRARIES = ("numpy", "librosa", "soundfile", "flask", "waitress", "sqlalchemy", "alembic", "cryptography")


@dataclass(frozen=True)
class Line:
    """One part and how it is."""

    part: str
    good: bool
    says: str


def lines(settings: Settings, *, now_s: float) -> Iterator[Line]:
    """Look at every part; nothing is made that is not there."""
    yield Line("python", sys.version_info >= (3, 11), ".".join(map(str, sys.version_info[:3])))
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    found = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES if name not in missing)
    advice = f"missing: {', '.join(missing)}; install with: pip install 'xiangyin[server]'"
    yield Line("libraries", not missing, found if not missing else advice)
    yield Line(
        "sqlite", sqlite3.sqlite_version_info >= (3, 35), f"{sqlite3.sqlite_version}, 3.35 or later is needed"
    )
    yield Line("clock", now_s > _EARLIEST_S, "set" if now_s > _EARLIEST_S else "years behind; set it (ntp)")
    if not missing:
        yield _tried("decoder", _decoder)
    yield Line("device", True, _device())  # a server needs none
    if not missing:
        yield _tried("store", lambda: _store(settings))
    if not settings.data.is_dir():
        yield Line("data", True, f"{settings.data} is not there yet; xiangyin serve makes it")
        return
    yield Line("data", os.access(settings.data, os.W_OK), f"{settings.data}")
    yield _tried("sync", lambda: _sync(settings))
    yield _tried("locks", lambda: _locks(settings))
    free = shutil.disk_usage(settings.data).free
    enough = free > 2 * settings.disk_reserve_bytes
    yield Line("disk", enough, f"{free / 2**30:.1f} GiB free" + ("" if enough else "; make room"))
    if not missing:
        yield _tried("keys", lambda: _keys(settings))
        yield _tried("database", lambda: _database(settings))


def _tried(part: str, look: Callable[[], str]) -> Line:
    try:
        return Line(part, True, look())
    except CodedError as error:
        return Line(part, False, f"{error.code}: {error}")


def _decoder() -> str:
    from corpus.decode import Decoder

    decoder = Decoder()
    decoder.warm()
    decoder.close()
    return "its process starts and ends"


def _device() -> str:
    """The microphone that a recording on this machine would take."""
    try:
        found = importlib.import_module("sounddevice").query_devices(kind="input")
    except ImportError:
        return "no recorder here; for one: pip install 'xiangyin[recorder]'"
    except OSError:
        return "PortAudio is missing; to record here: apt-get install libportaudio2"
    except Exception as error:  # noqa: BLE001  # PortAudio's own error class is known only where it is
        return f"no microphone ({error}); a server needs none"
    return f"{found['name']}, {found['default_samplerate']:.0f} Hz"


def _sync(settings: Settings) -> str:
    from corpus.disk import disk_errors

    with disk_errors(), tempfile.TemporaryFile(dir=settings.data) as file:
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
    return "a byte was written and synced"


def _locks(settings: Settings) -> str:
    from corpus import filelocks

    filelocks.check(settings.data)
    return "a file was locked, and a second holder refused"


def _store(settings: Settings) -> str:
    from corpus.store import open_store

    if not settings.store_url.startswith("s3://") and not settings.blobs.is_dir():
        return "none yet; xiangyin serve makes it"
    store = open_store(settings)
    store.check()
    return f"{store.where}, a byte was written and dropped"


def _keys(settings: Settings) -> str:
    from corpus import keyring, keys, migrate
    from corpus.database import open_engine, reading

    if not any(settings.keys.glob("ledger*.pem")):
        return "none yet; xiangyin serve makes them"
    signer = keys.signer(settings.keys)
    if not settings.database_url and not (settings.data / "xiangyin.sqlite").exists():
        return str(signer.verifier)
    engine = open_engine(settings.engine_url, pool_size=1)
    try:
        migrate.upgrade(engine)
        with reading(engine) as db:
            present = keyring.current(db, signer).verifier
            count = len(keyring.ring(db, present).vkeys)
    finally:
        engine.dispose()
    return f"{present}" + (f", after {count - 1} others" if count > 1 else "")


def _database(settings: Settings) -> str:
    from corpus import check, migrate
    from corpus.database import open_engine, reading

    if not settings.database_url and not (settings.data / "xiangyin.sqlite").exists():
        return "none yet; xiangyin serve makes it"
    engine = open_engine(settings.engine_url, pool_size=1)
    try:
        migrate.upgrade(engine)
        with reading(engine) as db:
            problems = list(check.database(db))
            at = migrate.revision(db)
    finally:
        engine.dispose()
    if problems:
        return f"{len(problems)} problems; run xiangyin fsck"
    return f"{engine.dialect.name}, revision {at}, whole"
