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
    exact = sa.select(clip.c.id).where(
        clip.c.pcm_md5 == sound.pcm_md5,
        clip.c.project_id == project_id,
        clip.c.id != but,
        clip.c.state.in_(_COUNTS),
    )
    found = db.execute(exact.limit(1)).scalar()
    if found is not None:
        return Like(found, 1.0)
    return None if one is None else _near(db, project_id, one, meta, but)


def _near(db: Connection, project_id: str, one: Fingerprint, meta: ClipMeta, but: str) -> Like | None:
    from noise_profiles.fingerprint import SAME, FingerprintInvalid, similarity
    from noise_profiles.fingerprint import Fingerprint as Stored

    shared = (
        sa.select(fingerprint_key.c.clip_id, sa.func.count().label("keys"))
        .where(fingerprint_key.c.key.in_(one.few_keys(_KEYS)), fingerprint_key.c.clip_id != but)
        .group_by(fingerprint_key.c.clip_id)
        .subquery()
    )
    query = (
        sa.select(clip.c.id, fingerprint.c.body)
        .join(shared, shared.c.clip_id == clip.c.id)
        .join(fingerprint, fingerprint.c.clip_id == clip.c.id)
        .where(
            clip.c.project_id == project_id,
            sa.or_(clip.c.recording_id != meta.recording_id, clip.c.channel == meta.channel),
            clip.c.state.in_(_COUNTS),
        )
        .order_by(shared.c["keys"].desc(), clip.c.id)
        .limit(_COMPARED)
    )
    for clip_id, body in db.execute(query).all():
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
    db.execute(sa.insert(fingerprint).values(clip_id=clip_id, body=one.to_bytes()))
    rows = [{"key": key, "clip_id": clip_id} for key in sorted(one.few_keys(_KEYS))]
    if rows:
        db.execute(sa.insert(fingerprint_key), rows)


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
