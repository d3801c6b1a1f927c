"""Every table, in one place (SQLAlchemy Core).

Times are whole milliseconds since 1970 UTC (``_ms``). Random identifiers are 128 bits as 32 hex
digits unless a client chose them. Rows that hold history (``measurement``, ``transcript``,
``ledger_entry``, ``audit``) are only ever added. ``migrations/`` builds these same tables; a test
compares the two.
"""

from __future__ import annotations

import sqlalchemy as sa

# Named constraints, so that migrations can change them on both databases.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *items: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, metadata, *items)


def _ref(target: str) -> sa.ForeignKey:
    return sa.ForeignKey(target)


def _text(name: str, *args: sa.schema.SchemaItem, optional: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, *args, nullable=optional)


def _whole(name: str, *args: sa.schema.SchemaItem, optional: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, *args, nullable=optional)


def _serial(name: str) -> sa.Column[int]:
    # SQLite counts only an INTEGER primary key.
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def _json(name: str, *, optional: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=optional)


# --- projects and people ---------------------------------------------------------------------------

project = _table(
    "project",
    sa.Column("id", sa.Text, primary_key=True),  # the slug
    _text("title"),
    _text("language"),  # BCP 47
    _text("orthography"),  # a ruleset of transcribe/
    _text("profile_id"),
    _json("terms"),  # {"version", "text", "rate_per_s"?, "currency"?, ...}
    _json("consent"),  # {"version", "text", "license"}
    _whole("created_ms"),
    sa.Column("contact", sa.Text, nullable=True),  # whom to ask about the corpus
)

agreement = _table(
    "agreement",  # every version of terms and consent, because receipts and consents name them
    sa.Column("project_id", sa.Text, _ref("project.id"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),  # terms | consent
    sa.Column("version", sa.Text, primary_key=True),
    _json("body"),
    _whole("since_ms"),
)

prompt = _table(
    "prompt",
    sa.Column("id", sa.Text, primary_key=True),
    _text("project_id", _ref("project.id")),
    _whole("seq"),
    _text("text"),
    _text("folded"),  # the scoring view: what must not stand in two splits
    sa.UniqueConstraint("project_id", "seq"),
    sa.UniqueConstraint("project_id", "text"),
)

person = _table(
    "person",
    sa.Column("id", sa.Text, primary_key=True),
    _text("speaker_id", optional=True),  # pseudonym, fixed width; the only name that leaves the server
    _text("display_name", optional=True),
    _json("attributes"),  # gender, age_band, region, native_language, dialect
    _whole("created_ms"),
    sa.UniqueConstraint("speaker_id"),
)

membership = _table(
    "membership",
    sa.Column("id", sa.Text, primary_key=True),
    _text("person_id", _ref("person.id")),
    _text("project_id", _ref("project.id"), optional=True),  # none: an operator of the whole server
    _text("role"),
    _whole("created_ms"),
    _whole("ended_ms", optional=True),
    _text("terms_seen", optional=True),  # the version of the project's terms that this member was shown
    sa.UniqueConstraint("person_id", "project_id", "role"),
)

invitation = _table(
    "invitation",
    sa.Column("hash", sa.Text, primary_key=True),  # SHA-256 of the secret part of the link
    _text("project_id", _ref("project.id"), optional=True),
    _text("role"),
    _whole("created_ms"),
    _whole("expires_ms"),
    _whole("used_ms", optional=True),
    _text("used_by", _ref("person.id"), optional=True),
)

token = _table(
    "token",
    sa.Column("hash", sa.Text, primary_key=True),  # SHA-256; the token itself is never stored
    _text("membership_id", _ref("membership.id")),
    _text("kind"),  # bearer | session | link (signs a browser in once)
    _text("csrf", optional=True),
    _whole("created_ms"),
    _whole("expires_ms"),
    _whole("revoked_ms", optional=True),
    _text("scopes", optional=True),  # words with blanks between; none: all that the role may
    _text("label", optional=True),  # its owner's own word for it
)
sa.Index("ix_token_membership", token.c.membership_id)

sign_in = _table(
    "sign_in",  # of those who set a passphrase
    sa.Column("person_id", sa.Text, _ref("person.id"), primary_key=True),
    _text("code"),  # typed to sign in; not the pseudonym, which every release tells
    _text("passphrase"),  # scrypt$N$r$p$salt$hash
    _whole("changed_ms"),
    sa.UniqueConstraint("code"),
)

bucket = _table(
    "bucket",  # of attempts; a row that is not there is full
    sa.Column("key", sa.Text, primary_key=True),  # keyed hash: no address is kept
    _whole("full_ms"),  # when it will be full again
)
sa.Index("ix_bucket_full", bucket.c.full_ms)

consent = _table(
    "consent",
    sa.Column("id", sa.Text, primary_key=True),
    _text("person_id", _ref("person.id")),
    _text("project_id", _ref("project.id")),
    _text("version"),
    _text("text_sha256"),
    _whole("given_ms"),
    _whole("withdrawn_ms", optional=True),
    sa.UniqueConstraint("person_id", "project_id", "version"),
)

# --- sound -----------------------------------------------------------------------------------------

upload = _table(
    "upload",
    sa.Column("id", sa.Text, primary_key=True),
    _text("person_id", _ref("person.id")),
    _text("project_id", _ref("project.id")),
    _text("clip_id"),
    _text("sha256"),
    _whole("length_bytes"),
    _json("metadata"),
    _text("state"),  # open | done | refused | terminated | expired
    _json("result", optional=True),  # the answer that the closing request got, for repeats of it
    _whole("created_ms"),
    _whole("expires_ms"),
    sa.UniqueConstraint("clip_id"),
)
sa.Index("ix_upload_person", upload.c.person_id, upload.c.created_ms)
sa.Index(
    "ix_upload_open",
    upload.c.person_id,
    upload.c.expires_ms,
    upload.c.length_bytes,
    sqlite_where=upload.c.state == "open",
    postgresql_where=upload.c.state == "open",
)

clip = _table(
    "clip",
    sa.Column("id", sa.Text, primary_key=True),  # the client's UUID
    _text("item_id"),  # random; what the ledger calls it
    _text("project_id", _ref("project.id")),
    _text("person_id", _ref("person.id")),
    _text("consent_id", _ref("consent.id")),
    _text("session_id"),
    _text("recording_id"),
    _whole("channel"),
    _whole("start_sample"),
    _text("style"),
    _text("grade_wanted"),
    _text("grade", optional=True),  # the grade it was accepted for
    _text("prompt_id", _ref("prompt.id"), optional=True),
    _text("device_class", optional=True),
    _text("recorded_at"),  # the client's clock
    _text("upload_sha256"),  # of the file as sent
    _text("sha256"),  # of the stored FLAC; the blob's name
    _text("pcm_md5"),
    _whole("bytes"),
    _whole("samples"),
    _whole("sample_rate_hz"),
    _whole("channels"),
    _json("meta"),
    _text("state"),  # received | accepted | refused | appealed | withdrawn
    # What its text waits for: first | second | review | done. It follows from the transcripts and is
    # kept here so that leasing the next clip is one look into an index.
    sa.Column("text_stage", sa.Text, nullable=False, server_default="first"),
    _whole("received_ms"),
    _whole("withdrawn_ms", optional=True),
    sa.Column(
        "terms_version", sa.Text, nullable=False, server_default=sa.text("''")
    ),  # in force when it arrived
    _whole("final_ms", optional=True),  # when an appeal was decided; nothing but withdrawal follows
    sa.UniqueConstraint("item_id"),
)
sa.Index("ix_clip_text_stage", clip.c.project_id, clip.c.text_stage, clip.c.state, clip.c.received_ms)
sa.Index("ix_clip_project_state", clip.c.project_id, clip.c.state)
sa.Index("ix_clip_person", clip.c.person_id)
sa.Index("ix_clip_pcm_md5", clip.c.pcm_md5)
sa.Index("ix_clip_sha256", clip.c.sha256)

measurement = _table(
    "measurement",
    _serial("id"),
    _text("clip_id", _ref("clip.id")),
    _text("method"),
    _json("figures"),  # noise_profiles.Measurement as JSON
    _text("decision"),
    _json("findings"),
    _text("profile_id"),
    _text("profile_version"),
    _whole("measured_ms"),
)
sa.Index("ix_measurement_clip", measurement.c.clip_id, measurement.c.id)

decision = _table(
    "decision",
    _serial("id"),
    _text("clip_id", _ref("clip.id")),
    _text("person_id", _ref("person.id"), optional=True),  # none: the server's own measuring
    _text("outcome"),  # accepted | refused | appealed
    _json("reasons"),  # [{"code","value","limit","start_s","end_s"}], never free text alone
    _text("note", optional=True),
    _whole("decided_ms"),
)
sa.Index("ix_decision_clip", decision.c.clip_id, decision.c.id)

fingerprint = _table(
    "fingerprint",  # of each sound, so that a copy of it is known again; erased with it
    sa.Column("clip_id", sa.Text, _ref("clip.id"), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),  # noise_profiles.fingerprint, with its version
)

fingerprint_key = sa.Table(
    "fingerprint_key",  # numbers that copies of a sound share some of
    metadata,
    sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("clip_id", sa.Text, _ref("clip.id"), primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("ix_fingerprint_key_clip", fingerprint_key.c.clip_id)

erasure = _table(
    "erasure",  # blobs of withdrawn clips that are not known to be gone
    sa.Column("sha256", sa.Text, primary_key=True),
    _whole("asked_ms"),
    _whole("tries"),
    _whole("next_ms"),
    _text("problem", optional=True),  # the code that the last try ended with
)
sa.Index("ix_erasure_next", erasure.c.next_ms)

receipt = _table(
    "receipt",
    sa.Column("clip_id", sa.Text, _ref("clip.id"), primary_key=True),
    _whole("seq"),
    _json("body"),
)

payment = _table(
    "payment",  # who an entry `paid` is about, as `clip` is for the others; the amount is in the log
    sa.Column("item_id", sa.Text, primary_key=True),
    _text("person_id", _ref("person.id")),
    _text("reference"),  # the payer's own: the same payment twice is logged once
    _whole("paid_ms"),
    sa.UniqueConstraint("person_id", "reference"),
)

# --- the ledger ------------------------------------------------------------------------------------

ledger_entry = _table(
    "ledger_entry",
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),  # the leaf's index, from 0
    _text("item_id", optional=True),
    _text("event"),
    _text("leaf"),  # canonical JSON, the very bytes that are hashed
    _whole("time_ms"),
)
sa.Index("ix_ledger_entry_item", ledger_entry.c.item_id)
sa.Index(
    "ix_ledger_entry_key",
    ledger_entry.c.seq,
    sqlite_where=ledger_entry.c.event == "key",
    postgresql_where=ledger_entry.c.event == "key",
)

ledger_detail = _table(
    "ledger_detail",  # erasable: without it an entry's commitment says nothing
    sa.Column("seq", sa.BigInteger, _ref("ledger_entry.seq"), primary_key=True, autoincrement=False),
    _text("salt"),
    _json("details"),
)

ledger_node = _table(
    "ledger_node",  # hashes of whole subtrees, so that a proof reads O(log n) rows
    sa.Column("level", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("hash"),
)

ledger_head = _table(
    "ledger_head",
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("note"),  # C2SP signed note
    _whole("signed_ms"),
)

# --- text ------------------------------------------------------------------------------------------

assignment = _table(
    "assignment",
    sa.Column("id", sa.Text, primary_key=True),
    _text("project_id", _ref("project.id")),
    _text("clip_id", _ref("clip.id")),
    _text("person_id", _ref("person.id")),
    _text("stage"),  # first | second | review
    _text("state"),  # leased | submitted | refused (the sound) | released | expired
    _text("draft"),
    _whole("version"),  # optimistic: a save names the version it saw
    _whole("leased_ms"),
    _whole("expires_ms"),
    _whole("ended_ms", optional=True),
)
sa.Index("ix_assignment_clip", assignment.c.clip_id, assignment.c.state)
sa.Index("ix_assignment_person", assignment.c.person_id, assignment.c.state)
sa.Index("ix_assignment_expiry", assignment.c.state, assignment.c.expires_ms)
sa.Index(  # a clip is in one pair of hands at a time, whatever a race or a fault may try
    "uq_assignment_leased_clip",
    assignment.c.clip_id,
    unique=True,
    sqlite_where=assignment.c.state == "leased",
    postgresql_where=assignment.c.state == "leased",
)

revision = _table(
    "revision",  # every saved draft; nothing is overwritten
    _serial("id"),
    _text("assignment_id", _ref("assignment.id")),
    _whole("version"),
    _text("text"),
    _whole("saved_ms"),
    sa.UniqueConstraint("assignment_id", "version"),
)

transcript = _table(
    "transcript",
    _serial("id"),
    _text("clip_id", _ref("clip.id")),
    _text("assignment_id", _ref("assignment.id")),
    _text("person_id", _ref("person.id")),
    _text("stage"),
    _text("text_raw"),  # as typed
    _text("text"),  # after safe fixes
    _json("applied"),  # codes of the fixes
    _json("events"),  # [{"start_s","end_s","label"}]
    _text("status"),  # complete | incomplete
    sa.Column("wants_review", sa.Boolean, nullable=False, server_default=sa.false()),
    _text("ruleset"),
    _text("rules_version"),
    _whole("submitted_ms"),
    _text("digest", optional=True),  # of clip, texts, events and status, so that an edit by hand shows
    sa.UniqueConstraint("assignment_id"),
)
sa.Index("ix_transcript_clip", transcript.c.clip_id, transcript.c.id)

final_text = _table(
    "final_text",
    sa.Column("clip_id", sa.Text, _ref("clip.id"), primary_key=True),
    _whole("transcript_id", _ref("transcript.id")),
    _whole("transcribers"),
    sa.Column("agreement_cer", sa.Float, nullable=True),
    _whole("decided_ms"),
)

# --- releases --------------------------------------------------------------------------------------

split = _table(
    "split",  # fixed at the first release that needed it; later releases add, never move
    sa.Column("project_id", sa.Text, _ref("project.id"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),  # speaker | session | prompt | text | household
    sa.Column("value", sa.Text, primary_key=True),  # its name, or # and its 64-bit key
    _text("split"),  # train | dev | test
    _text("since_release"),
)

release = _table(
    "release",
    sa.Column("name", sa.Text, primary_key=True),
    _text("project_id", _ref("project.id")),
    _whole("revision"),
    _text("status"),  # published | superseded
    _json("header"),  # release.json
    _text("header_sha256"),
    _whole("created_ms"),
)

release_clip = _table(
    "release_clip",
    sa.Column("release_name", sa.Text, _ref("release.name"), primary_key=True),
    sa.Column("clip_id", sa.Text, _ref("clip.id"), primary_key=True),
    _text("sha256"),
    _text("split"),
)
sa.Index("ix_release_clip_sha256", release_clip.c.sha256)

tombstone = _table(
    "tombstone",
    _serial("seq"),
    _text("project_id", _ref("project.id")),
    _text("manifest_id"),
    _text("sha256"),
    _whole("erased_ms"),
)

# --- who did what ----------------------------------------------------------------------------------

audit = _table(
    "audit",
    _serial("id"),
    _whole("time_ms"),
    _text("person_id", optional=True),
    _text("action"),
    _text("object", optional=True),
    _text("role", optional=True),  # in which it was done
    _text("project_id", optional=True),
)
sa.Index("ix_audit_object", audit.c.object, audit.c.action)
sa.Index("ix_audit_person", audit.c.person_id, audit.c.action)
