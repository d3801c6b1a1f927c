"""create_app(settings): the Flask intake server, wired; nothing else."""

from __future__ import annotations

import logging
import secrets
import time
from importlib import metadata
from urllib.parse import urlsplit

from flask import Flask

from corpus import keys, migrate
from corpus.database import open_engine
from corpus.decode import Decoder
from corpus.disk import disk_errors
from corpus.holds import Holds
from corpus.intake import Intake
from corpus.meters import Meters
from corpus.partials import Partials
from corpus.settings import Settings
from corpus.shelf import Shelf
from corpus.store import open_store
from corpus.together import Together
from corpus.waiting_room import Room
from corpus.withdrawal import Custody
from web import (
    account,
    api,
    assignments_api,
    audit,
    auth,
    bodies,
    clips_api,
    desk,
    forwarded,
    headers,
    health,
    language,
    ledger_api,
    limiting,
    me,
    metrics,
    observing,
    operator,
    pages,
    problems,
    releases,
    releases_pages,
    review,
    terms,
    uploads,
)
from web.context import Site

BLUEPRINTS = (
    uploads, api, clips_api, assignments_api, pages, account, desk, review, me, terms, operator, releases,
    releases_pages, ledger_api, health, metrics,
)  # fmt: skip


def clock_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def open_site(settings: Settings) -> Site:
    """Open everything in the data folder, making and migrating it where needed.

    Raises
    ------
    CodedError
        If the folder, the database, the keys or the disk are not as they must be.
    """
    with disk_errors():
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = open_engine(settings.engine_url, pool_size=settings.threads + 4)
    migrate.upgrade(engine)
    signer = keys.signer(settings.keys)
    with disk_errors():
        store, partials = open_store(settings), Partials(settings.partials)
        holds = Holds(settings.holds)
    meters = Meters(settings.meters)
    decoder = Decoder(ended=lambda by: meters.add("decoder", by))
    intake = Intake(
        settings, engine, store, holds, partials, decoder, signer, clock_ms, secrets.token_hex,
        Together(engine),
        refused=lambda code: meters.add("refused", code),
    )  # fmt: skip
    shelf = Shelf(engine, store, settings.releases, signer, settings.compute)
    return Site(
        settings=settings,
        engine=engine,
        store=store,
        clock_ms=clock_ms,
        random_hex=secrets.token_hex,
        signer=signer,
        secret=keys.secret(settings.secret_key_path),
        intake=intake,
        shelf=shelf,
        meters=meters,
        custody=Custody(shelf, signer, holds, clock_ms, secrets.token_hex),
        room=Room(settings.max_buffered_bytes, settings.max_upload_bytes, settings.partials),
    )


def create_app(settings: Settings, site: Site | None = None) -> Flask:
    """The application, over `site` or over a new one."""
    app = Flask("web")
    app.logger.setLevel(logging.INFO)
    app.extensions["xiangyin"] = site or open_site(settings)
    app.config.update(
        MAX_CONTENT_LENGTH=bodies.MAX_FORM_BYTES,  # routes that take more say so
        MAX_FORM_MEMORY_SIZE=bodies.MAX_FORM_BYTES,
        MAX_FORM_PARTS=200,
        PROVIDE_AUTOMATIC_OPTIONS=False,
        TRUSTED_HOSTS=_hosts(settings.public_url),
        XIANGYIN_VERSION=metadata.version("xiangyin"),
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    bodies.install(app)
    auth.install(app)
    limiting.install(app)
    audit.install(app)
    problems.install(app)
    language.install(app)
    headers.install(app)
    for module in BLUEPRINTS:
        app.register_blueprint(module.bp)
    app.wsgi_app = uploads.MethodOverride(app.wsgi_app)  # type: ignore[method-assign]
    observing.install(app)
    forwarded.install(app, settings.trusted_proxy)  # last: around everything
    return app


def _hosts(public_url: str) -> list[str] | None:
    """Names under which requests may come, once a public one is set; this machine's own always may."""
    host = urlsplit(public_url).hostname
    return None if host is None else [host, "localhost", "127.0.0.1", "[::1]"]
