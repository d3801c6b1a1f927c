"""For the operator's network: is it alive, can it work."""

from __future__ import annotations

from flask import Blueprint

from corpus import counts
from corpus.database import reading
from corpus.disk import DiskFull, disk_errors, need_room
from protocol.errors import CodedError
from web.auth import public
from web.context import Reply, site

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@public
def alive() -> Reply:
    """Alive: the process answers."""
    return "ok\n", 200, {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}


@bp.get("/readyz")
@public
def ready() -> Reply:
    """Ready: database, store and disk are as they must be; 503 names the one that is not."""
    here = site()
    found = {"database": "ok", "store": "ok", "disk": "ok"}
    try:
        with reading(here.engine) as db:
            counts.clips_by_state(db)
    except CodedError as error:
        found["database"] = error.code
    try:
        with disk_errors():  # its folder may be gone
            need_room(here.intake.partials.folder, 0, here.settings.disk_reserve_bytes)
        here.store.check()
    except DiskFull as error:
        found["disk"] = error.code
    except CodedError as error:
        found["store"] = error.code
    good = all(value == "ok" for value in found.values())
    return {"ready": good, **found}, 200 if good else 503, {"Cache-Control": "no-store"}
