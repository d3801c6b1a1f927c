"""``/releases``: cards to choose by, clips to filter and hear, lines to copy, tokens for teams."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request

from corpus import browse, header, offers, projects, recipes, shelf
from corpus.database import reading
from corpus.exporters import EXPORTERS
from corpus.header import Header, LatestEntry
from corpus.selection import clip_id_of
from corpus.store import BlobMissing
from web import bodies, sounds, tokens
from web.auth import require
from web.bodies import check
from web.context import Reply, member, site
from web.language import t

bp = Blueprint("releases_pages", __name__)

_SCOPE = "read-releases"
_DAYS = (7, 30, 90, 365)
_CARDS = 20
_HEARD = "private, no-cache"  # withdrawn, it must not be heard again
_FILTER: dict[str, bodies.Schema] = {
    "split": {"type": "string", "enum": ["", "train", "dev", "test"]},
    "grade": {"type": "string", "enum": ["", "quiet", "moderate", "noisy"]},
    "dialect": {"type": "string", "maxLength": 200},
    "min_snr": {"type": "string", "pattern": r"-?[0-9]{0,3}(\.[0-9]{0,2})?"},
    "max_snr": {"type": "string", "pattern": r"-?[0-9]{0,3}(\.[0-9]{0,2})?"},
    "order": {"type": "string", "enum": ["", *browse.ORDERS]},
    "page": {"type": "string", "pattern": "[0-9]{0,9}"},
}


@dataclass(frozen=True)
class Card:
    """A release as a card shows it; one that was taken back has no header and no outline."""

    entry: LatestEntry
    head: Header | None = None
    outline: browse.Outline | None = None


@bp.get("/releases")
@require("consumer", "operator")
def page() -> Reply:
    """The releases as cards, and the team's tokens."""
    return _list(None)


@bp.post("/releases")
@require("consumer", "operator")
def make_token() -> Reply:
    """Make a token that reads releases and nothing else; it is shown once, in every line to copy."""
    form = request.form
    check(bodies.text(60), form.get("label", ""), "label")
    check({"type": "string", "enum": [str(days) for days in _DAYS]}, form.get("days", ""), "days")
    token, _ = tokens.make([_SCOPE], form.get("label", "").strip() or None, int(form["days"]), None)
    return _list(token), 201


@bp.post("/releases/tokens/<token_id>/revoke")
@require("consumer", "operator")
def end_token(token_id: str) -> Reply:
    """End a token: the next pull with it is refused."""
    tokens.end(token_id)
    return redirect("/releases#tokens", 303)


@bp.get("/releases/<name>")
@require("consumer", "operator")
def one(name: str) -> Reply:
    """One release: its figures and plots, its clips, the lines to copy."""
    here, me = site(), member()
    with reading(here.engine) as db:
        head, raw, folder = offers.offered(db, here.shelf, name, me.project_id)
    digest = header.sha256_of(raw)
    given = {key: request.args.get(key, "") for key in _FILTER}
    for key, schema in _FILTER.items():
        check(schema, given[key], key)
    found = browse.page(folder, digest, _wanted(given), int(given["page"] or "1"))

    def link(**changed: object) -> str:
        """The page with another order or number, keeping what was asked."""
        asked = {**given, "page": "", **{key: str(value) for key, value in changed.items()}}
        query = urlencode({key: value for key, value in asked.items() if value})
        return f"/releases/{name}{'?' if query else ''}{query}#clips"

    return render_template(
        "release.html",
        head=head,
        sha256=digest,
        outline=browse.outline(folder, digest),
        found=found,
        given=given,
        link=link,
        clip_id=clip_id_of,
        **_common(None),
    )


@bp.get("/releases/<name>/clips/<clip_id>/audio")
@require("consumer", "operator")
def play(name: str, clip_id: str) -> Reply:
    """A clip of a release to be heard; the speaker can see that somebody did."""
    here, me = site(), member()
    with reading(here.engine) as db:
        offers.offered(db, here.shelf, name, me.project_id)
        digest = offers.sound_of(db, name, clip_id)
        offers.check_blob(db, digest, me.project_id)
    try:
        return sounds.reply(here.store, digest, f"{clip_id}.flac", caching=_HEARD)
    except BlobMissing as error:
        raise offers.BlobUnknown() from error


def _list(token: str | None) -> str:
    here, me = site(), member()
    with reading(here.engine) as db:
        entries = shelf.latest(here.shelf, db, me.project_id).releases[:_CARDS]
        offered = [
            offers.offered(db, here.shelf, entry.name, me.project_id) if entry.status == "published" else None
            for entry in entries
        ]
        titles = {project.id: project.title for project in projects.every(db)}
    cards = [_card(entry, found) for entry, found in zip(entries, offered, strict=True)]
    mine = [row for row in tokens.listed() if row["kind"] == "bearer" and _SCOPE in row["scopes"]]
    whole = [card.head for card in cards if card.head is not None]
    chosen = next((head for head in whole if head.name == request.form.get("release")), None)
    return render_template(
        "releases.html",
        cards=cards,
        titles=titles,
        tokens=mine,
        chosen=chosen or next(iter(whole), None),
        **_common(token),
    )


def _card(entry: LatestEntry, found: tuple[Header, bytes, Path] | None) -> Card:
    if found is None:
        return Card(entry)
    head, raw, folder = found
    return Card(entry, head, browse.outline(folder, header.sha256_of(raw)))


def _common(token: str | None) -> dict[str, Any]:
    base = site().settings.public_url.rstrip("/") or request.host_url.rstrip("/")
    known = recipes.in_order(EXPORTERS)
    return {
        "base": base,
        "token": token,
        "days": _DAYS,
        "formats": [(name, recipes.label(name), recipes.RECIPES.get(name)) for name in known],
        "span": _span,
    }


def _wanted(given: dict[str, str]) -> browse.Filter:
    default: browse.Order = "id"
    order = next((known for known in browse.ORDERS if known == given["order"]), default)
    return browse.Filter(
        split=given["split"] or None,
        grade=given["grade"] or None,
        dialect=given["dialect"] or None,
        min_snr_db=_number(given["min_snr"]),
        max_snr_db=_number(given["max_snr"]),
        order=order,
    )


def _number(text: str) -> float | None:
    return float(text) if any(map(str.isdecimal, text)) else None


def _span(seconds: float) -> str:
    """A length of sound in the reader's language."""
    if seconds < 60:
        return t("releases.span_s", n=f"{seconds:.0f}")
    if seconds < 3600:
        return t("releases.span_min", n=f"{seconds / 60:.1f}")
    return t("releases.span_h", n=f"{seconds / 3600:.2f}")
