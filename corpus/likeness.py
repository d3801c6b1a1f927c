"""Which clip of a project holds the same sound: exactly, or sent again in another coding, level or cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus.decode import Sound
from corpus.tables import clip, fingerprint, fingerprint_key
from protocol.clip import ClipMeta

if TYPE_CHECKING:
    from noise_profiles.fingerprint import Fingerprint

_KEYS = 96  # rows a clip; a clip of up to three seconds keeps every key
_COMPARED = 20  # clips that share most keys; a stranger shares one by chance
_COUNTS = ("received", "accepted", "appealed")  # a refused sound may be sent again, and mended
_ADD, _ADD_KEYS = sa.insert(fingerprint), sa.insert(fingerprint_key)
_EXACT = (
    sa.select(clip.c.id)
    .where(
        clip.c.pcm_md5 == sa.bindparam("md5"),
        clip.c.project_id == sa.bindparam("project"),
        clip.c.id != sa.bindparam("but"),
        clip.c.state.in_(_COUNTS),
    )
    .limit(1)
)
_SHARED = (
    sa.select(fingerprint_key.c.clip_id, sa.func.count().label("keys"))
    .where(
        fingerprint_key.c.key.in_(sa.bindparam("keys", expanding=True)),
        fingerprint_key.c.clip_id != sa.bindparam("but"),
    )
    .group_by(fingerprint_key.c.clip_id)
    .subquery()
)
_NEAR = (
    sa.select(clip.c.id, fingerprint.c.body)
    .join(_SHARED, _SHARED.c.clip_id == clip.c.id)
    .join(fingerprint, fingerprint.c.clip_id == clip.c.id)
    .where(
        clip.c.project_id == sa.bindparam("project"),
        sa.or_(clip.c.recording_id != sa.bindparam("recording"), clip.c.channel == sa.bindparam("channel")),
        clip.c.state.in_(_COUNTS),
    )
    .order_by(_SHARED.c["keys"].desc(), clip.c.id)
    .limit(_COMPARED)
)


@dataclass(frozen=True)
class Like:
    """A clip that holds the same sound, and the share of its surest features that agree (1: every sample)."""

    clip_id: str
    similarity: float


def same(
    db: Connection, project_id: str, sound: Sound, one: Fingerprint | None, meta: ClipMeta, *, but: str
) -> Like | None:
    """The clip of the project that holds this sound, if there is one that counts.

    The other side of the same conversation is no copy, although each may be heard in both microphones:
    channels of one recording are compared with each other sample by sample only.
    """
    found = db.execute(_EXACT, {"md5": sound.pcm_md5, "project": project_id, "but": but}).scalar()
    if found is not None:
        return Like(found, 1.0)
    return None if one is None else _near(db, project_id, one, meta, but)


def _near(db: Connection, project_id: str, one: Fingerprint, meta: ClipMeta, but: str) -> Like | None:
    from noise_profiles.fingerprint import SAME, FingerprintInvalid, similarity
    from noise_profiles.fingerprint import Fingerprint as Stored

    asked = {
        "keys": sorted(one.few_keys(_KEYS)),
        "project": project_id,
        "recording": meta.recording_id,
        "channel": meta.channel,
        "but": but,
    }
    for clip_id, body in db.execute(_NEAR, asked).all():
        try:
            alike = similarity(Stored.from_bytes(body), one)
        except FingerprintInvalid:
            continue  # of another version: `xiangyin remeasure` makes it anew
        if alike >= SAME:
            return Like(clip_id, alike)
    return None


def keep(db: Connection, clip_id: str, one: Fingerprint) -> None:
    """Store a clip's fingerprint in place of the one it may have."""
    erase(db, [clip_id])
    add(db, clip_id, one)


def add(db: Connection, clip_id: str, one: Fingerprint) -> None:
    """Store the fingerprint of a new clip."""
    db.execute(_ADD, {"clip_id": clip_id, "body": one.to_bytes()})
    rows = [{"key": key, "clip_id": clip_id} for key in sorted(one.few_keys(_KEYS))]
    if rows:
        db.execute(_ADD_KEYS, rows)


def is_kept(db: Connection, clip_id: str) -> bool:
    """Whether a clip has a fingerprint of the version that this program compares."""
    from noise_profiles.fingerprint import Fingerprint as Stored
    from noise_profiles.fingerprint import FingerprintInvalid

    body = db.execute(sa.select(fingerprint.c.body).where(fingerprint.c.clip_id == clip_id)).scalar()
    if body is None:
        return False
    try:
        Stored.from_bytes(body)
    except FingerprintInvalid:
        return False
    return True


def erase(db: Connection, clip_ids: Sequence[str]) -> None:
    """Remove the fingerprints of these clips: a voice is known by them."""
    for table in (fingerprint_key, fingerprint):
        db.execute(sa.delete(table).where(table.c.clip_id.in_(clip_ids)))
