"""People, their memberships, invitations, tokens and consents.

A secret (invitation, token) is 256 random bits shown once; only its SHA-256 is stored. Every
function that makes one takes it from the caller, so that nothing here draws random numbers.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import projects
from corpus.prepared import Prepared
from corpus.tables import consent, invitation, membership, person, sign_in, token
from protocol.clip import Role
from protocol.errors import CodedError

ATTRIBUTES = ("gender", "age_band", "region", "native_language", "dialect")
REQUIRED_ATTRIBUTES = ATTRIBUTES[:4]
PRIVATE_ATTRIBUTES = (
    "household",
)  # the same word for who lives together; keeps them in one split, never told
_ATTRIBUTE_CHARACTERS = 100
TOKEN_ID_DIGITS = 24
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: nothing that reads as something else

TokenKind = Literal["bearer", "session", "link"]
SCOPES: Mapping[Role, tuple[str, ...]] = {
    "speaker": ("upload", "own"),
    "transcriber": ("desk",),
    "reviewer": ("desk", "review"),
    "consumer": ("read-releases",),
    "operator": ("operate", "read-releases"),
}
"""What a token may be made for. One that was got by joining has these and `SIGN_IN`."""
SIGN_IN = "sign-in"


class InvitationInvalid(CodedError):
    """An invitation that nobody can use any more."""

    code: ClassVar[str] = "INVITATION_INVALID"


class ConsentRequired(CodedError):
    """A speaker joined without consent or without what the corpus must know of a voice."""

    code: ClassVar[str] = "CONSENT_REQUIRED"


class TokenUnknown(CodedError):
    """No such token, or another person's: the two look the same."""

    code: ClassVar[str] = "NOT_FOUND"


class AttributeInvalid(CodedError):
    """What a speaker says of their voice has a wrong shape."""

    code: ClassVar[str] = "VALUE_INVALID"


@dataclass(frozen=True)
class Member:
    """Who makes a request: one person in one role of one project.

    `project_id` is None for an operator of the whole server. `csrf` is set for a browser's session.
    """

    person_id: str
    membership_id: str
    project_id: str | None
    role: Role
    speaker_id: str | None
    display_name: str | None = None
    csrf: str | None = None
    token_hash: str = ""
    scopes: frozenset[str] | None = None

    def may(self, scope: str) -> bool:
        """Whether the token that was sent reaches this far; a browser's session does."""
        return self.scopes is None or scope in self.scopes


@dataclass(frozen=True)
class TokenRow:
    """A token as its owner sees it: never the secret. `id` is the beginning of its hash."""

    id: str
    kind: str
    label: str | None
    scopes: tuple[str, ...]
    role: str
    created_ms: int
    expires_ms: int


def hashed(secret: str) -> str:
    """What is stored of a secret. It is random and long, so one SHA-256 is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def speaker_id(random_bytes: bytes) -> str:
    """A pseudonym of fixed width: ``S`` and eight letters or digits."""
    value = int.from_bytes(random_bytes[:8], "big")
    return "S" + "".join(_DIGITS[(value >> (5 * place)) & 31] for place in range(8))


def attributes(given: object) -> dict[str, str]:
    """Check what a speaker says of their voice; unknown names and long texts are refused."""
    if not isinstance(given, Mapping):
        raise AttributeInvalid(field="attributes", problem="need a JSON object")
    found: dict[str, str] = {}
    for name, value in given.items():
        if name not in (*ATTRIBUTES, *PRIVATE_ATTRIBUTES):
            raise AttributeInvalid(field=f"attributes.{name}"[:80], problem="there is no such attribute")
        if value is None:
            continue
        if not isinstance(value, str) or not value.isprintable() or len(value) > _ATTRIBUTE_CHARACTERS:
            raise AttributeInvalid(field=f"attributes.{name}", problem="need a short printable text")
        if value.strip():
            found[name] = value.strip()
    return found


def display_name(given: object) -> str | None:
    """Check a name to be shown to the project's staff."""
    if given is None or given == "":
        return None
    if not isinstance(given, str) or not given.isprintable() or len(given) > _ATTRIBUTE_CHARACTERS:
        raise AttributeInvalid(field="display_name", problem="need a short printable text")
    return given.strip() or None


def invite(
    db: Connection,
    secret: str,
    *,
    project_id: str | None,
    role: Role,
    now_ms: int,
    expires_ms: int,
) -> None:
    """Store a one-time invitation; `secret` is what its link carries."""
    db.execute(
        sa.insert(invitation).values(
            hash=hashed(secret), project_id=project_id, role=role, created_ms=now_ms, expires_ms=expires_ms
        )
    )


def invited(db: Connection, secret: str, *, now_ms: int) -> tuple[str | None, Role]:
    """Project and role that an unused invitation is for, or `InvitationInvalid`."""
    row = db.execute(sa.select(invitation).where(invitation.c.hash == hashed(secret))).one_or_none()
    if row is None or row.used_ms is not None or row.expires_ms <= now_ms:
        raise InvitationInvalid()
    return row.project_id, cast(Role, row.role)


def accept(
    db: Connection,
    secret: str,
    *,
    random_hex: str,
    name: str | None,
    given_attributes: Mapping[str, str],
    consent_version: str | None,
    now_ms: int,
) -> Member:
    """Use an invitation: a person, a membership and, for a speaker, a consent come into being together.

    Parameters
    ----------
    random_hex : str
        At least 64 random hexadecimal digits; the new identifiers are taken from it.
    consent_version : str or None
        The version of the consent text that the speaker said yes to.

    Raises
    ------
    InvitationInvalid
        If it was used, has expired or never was.
    ConsentRequired
        If a speaker's consent or attributes are missing.
    """
    project_id, role = invited(db, secret, now_ms=now_ms)
    person_id, membership_id = random_hex[:32], hashed("membership" + random_hex)[:32]
    voice = speaker_id(bytes.fromhex(random_hex[32:64])) if role == "speaker" else None
    if role == "speaker":
        project = projects.by_id(db, cast(str, project_id))
        wanted = project.consent["version"]
        if consent_version != wanted or any(not given_attributes.get(key) for key in REQUIRED_ATTRIBUTES):
            # With the text, so that a client can show it to whoever holds the invitation.
            raise ConsentRequired(
                version=wanted, project=project.id, project_title=project.title, text=dict(project.consent)
            )
    used = db.execute(
        sa.update(invitation)
        .where(invitation.c.hash == hashed(secret), invitation.c.used_ms.is_(None))
        .values(used_ms=now_ms)
    )
    if used.rowcount != 1:
        raise InvitationInvalid()
    db.execute(
        sa.insert(person).values(
            id=person_id,
            speaker_id=voice,
            display_name=name,
            attributes=dict(given_attributes),
            created_ms=now_ms,
        )
    )
    db.execute(sa.update(invitation).where(invitation.c.hash == hashed(secret)).values(used_by=person_id))
    db.execute(
        sa.insert(membership).values(
            id=membership_id, person_id=person_id, project_id=project_id, role=role, created_ms=now_ms
        )
    )
    if project_id is not None:  # who accepts an invitation is shown the terms in force
        projects.saw_terms(db, membership_id, projects.by_id(db, project_id).terms["version"])
    if role == "speaker":
        give_consent(db, person_id, cast(str, project_id), now_ms=now_ms)
    return Member(person_id, membership_id, project_id, role, voice, name)


def accepted_before(db: Connection, secret: str, token_text: str) -> Member | None:
    """The member that this invitation made for a client that asks again with the same key."""
    found = by_token(db, token_text, now_ms=0)
    if found is None:
        return None
    row = db.execute(sa.select(invitation).where(invitation.c.hash == hashed(secret))).one_or_none()
    return found if row is not None and row.used_by == found.person_id else None


def give_consent(db: Connection, person_id: str, project_id: str, *, now_ms: int) -> str:
    """Store a yes to the project's present consent text; the same yes twice is one. Returns its id."""
    text = projects.by_id(db, project_id).consent
    given = consent_id(db, person_id, project_id, str(text["version"]))
    if given is not None:
        return given
    new_id = hashed(f"consent/{person_id}/{project_id}/{text['version']}")[:32]
    db.execute(
        sa.insert(consent).values(
            id=new_id,
            person_id=person_id,
            project_id=project_id,
            version=text["version"],
            text_sha256=hashed(str(text["text"])),
            given_ms=now_ms,
        )
    )
    return new_id


_CONSENT = Prepared(
    sa.select(consent.c.id).where(
        consent.c.person_id == sa.bindparam("person"),
        consent.c.project_id == sa.bindparam("project"),
        consent.c.version == sa.bindparam("version"),
        consent.c.withdrawn_ms.is_(None),
    )
)


def consent_id(db: Connection, person_id: str, project_id: str, version: str) -> str | None:
    """The consent that covers a clip recorded under `version`, unless it was withdrawn."""
    row = {"person": person_id, "project": project_id, "version": version}
    return _CONSENT.scalar(db, row)


def add_token(
    db: Connection,
    secret: str,
    membership_id: str,
    *,
    kind: TokenKind,
    now_ms: int,
    expires_ms: int,
    csrf: str | None = None,
    scopes: Iterable[str] | None = None,
    label: str | None = None,
) -> None:
    """Store a program's bearer token, a browser's session or a link that begins one."""
    db.execute(
        sa.insert(token).values(
            hash=hashed(secret),
            membership_id=membership_id,
            kind=kind,
            csrf=csrf,
            created_ms=now_ms,
            expires_ms=expires_ms,
            scopes=None if scopes is None else " ".join(sorted(scopes)),
            label=label,
        )
    )


_MEMBER = (
    membership.c.person_id,
    membership.c.id,
    membership.c.project_id,
    membership.c.role,
    person.c.speaker_id,
    person.c.display_name,
)


_TOKEN = (
    sa.select(*_MEMBER, token.c.csrf, token.c.hash, token.c.scopes)
    .join(membership, membership.c.id == token.c.membership_id)
    .join(person, person.c.id == membership.c.person_id)
    .where(
        token.c.hash == sa.bindparam("hash"),
        token.c.revoked_ms.is_(None),
        token.c.expires_ms > sa.bindparam("now_ms"),
        membership.c.ended_ms.is_(None),
    )
)
_BY_TOKEN, _BY_TOKEN_OF_KIND = Prepared(_TOKEN), Prepared(_TOKEN.where(token.c.kind == sa.bindparam("kind")))


def by_token(db: Connection, secret: str, *, now_ms: int, kind: TokenKind | None = None) -> Member | None:
    """Who holds this token, or None if it is unknown, expired, revoked, or its membership has ended."""
    asked = {"hash": hashed(secret), "now_ms": now_ms}
    row = _BY_TOKEN_OF_KIND.first(db, {**asked, "kind": kind}) if kind else _BY_TOKEN.first(db, asked)
    return None if row is None else _member(row)


def revoke(db: Connection, token_hash: str, *, now_ms: int) -> None:
    """End one token; ending it twice is ending it once."""
    db.execute(
        sa.update(token)
        .where(token.c.hash == token_hash, token.c.revoked_ms.is_(None))
        .values(revoked_ms=now_ms)
    )


def tokens(db: Connection, person_id: str, *, now_ms: int) -> list[TokenRow]:
    """Every token and session of a person that still opens something, the newest first."""
    rows = db.execute(
        sa.select(token, membership.c.role)
        .join(membership, membership.c.id == token.c.membership_id)
        .where(
            membership.c.person_id == person_id,
            token.c.kind != "link",
            token.c.revoked_ms.is_(None),
            token.c.expires_ms > now_ms,
        )
        .order_by(token.c.created_ms.desc(), token.c.hash)
    )
    return [
        TokenRow(
            row.hash[:TOKEN_ID_DIGITS],
            row.kind,
            row.label,
            tuple((row.scopes or "").split()),
            row.role,
            row.created_ms,
            row.expires_ms,
        )
        for row in rows
    ]


def revoke_own(db: Connection, token_id: str, person_id: str, *, now_ms: int) -> None:
    """End a token of this person's, by the id that `tokens` names.

    Raises
    ------
    TokenUnknown
        If this person has no such token.
    """
    mine = sa.select(membership.c.id).where(membership.c.person_id == person_id)
    found = db.execute(
        sa.select(token.c.hash).where(
            sa.func.substr(token.c.hash, 1, TOKEN_ID_DIGITS) == token_id, token.c.membership_id.in_(mine)
        )
    ).scalars()
    hashes = list(found)
    if not hashes:
        raise TokenUnknown()
    for one in hashes:
        revoke(db, one, now_ms=now_ms)


def revoke_others(db: Connection, person_id: str, keep: str, *, now_ms: int) -> int:
    """End every session of a person but one, as when the passphrase changes. Returns how many ended."""
    mine = sa.select(membership.c.id).where(membership.c.person_id == person_id)
    ended = db.execute(
        sa.update(token)
        .where(
            token.c.membership_id.in_(mine),
            token.c.kind.in_(("session", "link")),
            token.c.hash != keep,
            token.c.revoked_ms.is_(None),
        )
        .values(revoked_ms=now_ms)
    )
    return ended.rowcount


def sign_in_code(person_id: str) -> str:
    """What a person types beside the passphrase: ``P`` and eight letters or digits."""
    digest = hashlib.sha256(f"sign-in/{person_id}".encode()).digest()
    return "P" + speaker_id(digest)[1:]


def set_passphrase(db: Connection, person_id: str, stored: str, *, now_ms: int) -> None:
    """Keep a passphrase's hash in place of any before it."""
    values = {"passphrase": stored, "changed_ms": now_ms}
    changed = db.execute(sa.update(sign_in).where(sign_in.c.person_id == person_id).values(values))
    if changed.rowcount == 0:
        db.execute(sa.insert(sign_in).values(person_id=person_id, code=sign_in_code(person_id), **values))


def passphrase_of(db: Connection, person_id: str) -> str | None:
    """The stored hash, or None if no passphrase was set."""
    return db.execute(sa.select(sign_in.c.passphrase).where(sign_in.c.person_id == person_id)).scalar()


def by_code(db: Connection, code: str) -> tuple[Member, str] | None:
    """The member who signs in with this code, and the hash of the passphrase."""
    row = db.execute(
        sa.select(
            *_MEMBER,
            sign_in.c.passphrase,
            sa.null().label("csrf"),
            sa.literal("").label("hash"),
            sa.null().label("scopes"),
        )
        .join(person, person.c.id == sign_in.c.person_id)
        .join(membership, membership.c.person_id == person.c.id)
        .where(sign_in.c.code == code, membership.c.ended_ms.is_(None))
        .order_by(membership.c.created_ms.desc())
        .limit(1)
    ).first()
    return None if row is None else (_member(row), row.passphrase)


def has_operator(db: Connection) -> bool:
    """Whether anyone operates the whole server, or was ever invited to."""
    query = sa.select(invitation.c.hash).where(
        invitation.c.role == "operator", invitation.c.project_id.is_(None)
    )
    return db.execute(query.limit(1)).first() is not None


def by_speaker(db: Connection, speaker_id: str) -> str | None:
    """The person behind a pseudonym."""
    return db.execute(sa.select(person.c.id).where(person.c.speaker_id == speaker_id)).scalar()


def derived_token(key: bytes, invite_secret: str, nonce: str) -> str:
    """The token for an invitation and a client's own nonce: asked for twice, it is the same.

    A client whose answer was lost can so repeat `join` and lose nothing.
    """
    tag = hmac.new(key, f"join/{invite_secret}/{nonce}".encode("utf-8", "surrogatepass"), hashlib.sha256)
    return "xy_" + tag.hexdigest()


def _member(row: Any) -> Member:
    return Member(
        person_id=row.person_id,
        membership_id=row.id,
        project_id=row.project_id,
        role=cast(Role, row.role),
        speaker_id=row.speaker_id,
        display_name=row.display_name,
        csrf=row.csrf,
        token_hash=row.hash,
        scopes=None if row.scopes is None else frozenset(row.scopes.split()),
    )
