"""Collection projects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import tables, terms
from corpus.prepared import Prepared
from protocol.errors import CodedError

_AGREED = Prepared(
    sa.select(tables.project.c.terms, tables.consent.c.id.label("consent_id"))
    .select_from(tables.project)
    .outerjoin(
        tables.consent,
        (tables.consent.c.project_id == tables.project.c.id)
        & (tables.consent.c.person_id == sa.bindparam("person"))
        & (tables.consent.c.version == sa.bindparam("version"))
        & tables.consent.c.withdrawn_ms.is_(None),
    )
    .where(tables.project.c.id == sa.bindparam("project"))
)
_BY_ID = Prepared(sa.select(tables.project).where(tables.project.c.id == sa.bindparam("project")))
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

# In the three languages of the interface, one after the other: who agrees must have read it in their own.
DEFAULT_TERMS: Mapping[str, Any] = {
    "version": "terms-1",
    "text": (
        "每一秒通過的錄音都會計入。退件一定說明原因，並可在 14 天內申訴。\n\n"
        "每一秒通过的录音都会计入。退回一定说明原因，并可在 14 天内申诉。\n\n"
        "Each accepted second of sound is counted; a refusal names its reason and can be appealed within"
        " 14 days."
    ),
    "currency": None,
    "rate_per_s": None,
    "rate_per_clip": None,
    "appeal_days": terms.APPEAL_DAYS,
    "decision_days": terms.DECISION_DAYS,
}
DEFAULT_CONSENT: Mapping[str, Any] = {
    "version": "consent-1",
    "text": (
        "我同意將我的錄音，連同性別、年齡層、成長地區和母語（不含姓名），依照這裡載明的授權條款，收錄在公開發布的"
        "語音語料庫中。我可以隨時撤回同意；撤回後，我的錄音會從語料庫和之後的版本中刪除。\n\n"
        "我同意将我的录音，连同性别、年龄段、成长地区和母语（不含姓名），按照这里写明的许可条款，收录在公开发布的"
        "语音语料库中。我可以随时撤回同意；撤回后，我的录音会从语料库和之后的版本中删除。\n\n"
        "I agree that my recorded voice, with my gender, age band, region and native language but without my"
        " name, is published in a speech corpus under the licence named here. I may withdraw at any time;"
        " my recordings are then erased from the corpus and from its later copies."
    ),
    "license": "CC-BY-4.0",
}


class ProjectUnknown(CodedError):
    """There is no such project."""

    code: ClassVar[str] = "PROJECT_UNKNOWN"


class ProjectExists(CodedError):
    """The slug is taken by a project with other settings."""

    code: ClassVar[str] = "PROJECT_EXISTS"


class ProjectInvalid(CodedError):
    """A value of a new project has a wrong shape."""

    code: ClassVar[str] = "VALUE_INVALID"


@dataclass(frozen=True)
class Project:
    """A collection project as stored."""

    id: str
    title: str
    language: str
    orthography: str
    profile_id: str
    terms: Mapping[str, Any]
    consent: Mapping[str, Any]
    created_ms: int
    contact: str | None = None  # whom to ask about the corpus; the card of its releases shows it


def create(db: Connection, new: Project) -> None:
    """Store a project. The same project again changes nothing; another one under its slug is refused.

    Raises
    ------
    ProjectInvalid
        If slug, title, language, terms or consent have a wrong shape.
    ProjectExists
        If the slug is taken by a project with other settings.
    """
    _check(new)
    stored = _find(db, new.id)
    if stored is not None:
        if _settings(stored) != _settings(new):
            raise ProjectExists(project=new.id)
        return
    db.execute(sa.insert(tables.project).values(created_ms=new.created_ms, **_settings(new)))
    terms.remember(db, new.id, "terms", new.terms, now_ms=new.created_ms)
    terms.remember(db, new.id, "consent", new.consent, now_ms=new.created_ms)


def revise(
    db: Connection, project_id: str, kind: terms.Kind, body: Mapping[str, Any], *, now_ms: int
) -> bool:
    """Put a new version of terms or consent in force; the one before stays readable.

    What has arrived is judged and paid as was agreed then. The version in force again changes nothing;
    going back to an older version is allowed. Returns whether anything changed.

    Raises
    ------
    ProjectInvalid
        If it has a wrong shape.
    VersionTaken
        If its version names other words already.
    """
    _check_agreement(kind, body)
    present = by_id(db, project_id)
    terms.remember(db, project_id, kind, getattr(present, kind), now_ms=present.created_ms)
    terms.remember(db, project_id, kind, body, now_ms=now_ms)
    if dict(body) == dict(getattr(present, kind)):
        return False
    query = sa.update(tables.project).where(tables.project.c.id == project_id)
    db.execute(query.values({kind: dict(body)}))
    return True


def set_contact(db: Connection, project_id: str, contact: str | None) -> None:
    """Name whom to ask about the project's corpus, from its next release on; None names nobody.

    Raises
    ------
    ProjectInvalid
        If it is not one printable line.
    ProjectUnknown
        If there is no such project.
    """
    _check_contact(contact)
    by_id(db, project_id)
    query = sa.update(tables.project).where(tables.project.c.id == project_id)
    db.execute(query.values(contact=contact))


def terms_to_see(db: Connection, membership_id: str) -> terms.Terms | None:
    """Terms that have come since a member joined and that they were not shown yet."""
    row = db.execute(
        sa.select(tables.membership.c.terms_seen, tables.project.c.terms)
        .join(tables.project, tables.project.c.id == tables.membership.c.project_id)
        .where(tables.membership.c.id == membership_id)
    ).one_or_none()
    if row is None or row.terms_seen == row.terms["version"]:
        return None
    return terms.stored(row.terms)


def saw_terms(db: Connection, membership_id: str, version: str) -> None:
    """Keep that a member was shown this version of the terms."""
    query = sa.update(tables.membership).where(tables.membership.c.id == membership_id)
    db.execute(query.values(terms_seen=version))


def by_id(db: Connection, project_id: str) -> Project:
    """The project, or `ProjectUnknown`."""
    found = _find(db, project_id)
    if found is None:
        raise ProjectUnknown(project=project_id)
    return found


def agreed(
    db: Connection, project_id: str, person_id: str, consent_version: str
) -> tuple[Mapping[str, Any], str | None]:
    """The project's terms in force, and the id of a person's consent to a version if it still holds."""
    row = _AGREED.first(db, {"project": project_id, "person": person_id, "version": consent_version})
    if row is None:
        raise ProjectUnknown(project=project_id)
    return row.terms, row.consent_id


def every(db: Connection) -> list[Project]:
    """All projects by slug."""
    rows = db.execute(sa.select(tables.project).order_by(tables.project.c.id))
    return [Project(**row._mapping) for row in rows]


def _find(db: Connection, project_id: str) -> Project | None:
    row = _BY_ID.first(db, {"project": project_id})
    return None if row is None else Project(**row._asdict())


def _settings(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "title": project.title,
        "language": project.language,
        "orthography": project.orthography,
        "profile_id": project.profile_id,
        "terms": dict(project.terms),
        "consent": dict(project.consent),
        "contact": project.contact,
    }


def _check(project: Project) -> None:
    if not _SLUG.fullmatch(project.id):
        raise ProjectInvalid(
            field="project", problem="need 1 to 63 lower-case letters, digits and inner dashes"
        )
    if not project.title.strip() or not project.title.isprintable() or len(project.title) > 200:
        raise ProjectInvalid(field="title", problem="need a printable text of at most 200 characters")
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", project.language):
        raise ProjectInvalid(field="language", problem="need a BCP 47 tag such as nan-Hant-TW")
    _check_contact(project.contact)
    _check_agreement("terms", project.terms)
    _check_agreement("consent", project.consent)


def _check_contact(contact: str | None) -> None:
    if contact is not None and (not contact.strip() or not contact.isprintable() or len(contact) > 200):
        raise ProjectInvalid(field="contact", problem="need one line of at most 200 characters")


def _check_agreement(kind: terms.Kind, body: Mapping[str, Any]) -> None:
    try:
        if kind == "terms":
            terms.parse(body)
            return
        terms.worded(body, kind)
    except terms.TermsInvalid as error:
        raise ProjectInvalid(**error.parameters) from error
    if not isinstance(body.get("license"), str) or not body["license"]:
        raise ProjectInvalid(field="consent.license", problem="need an SPDX licence such as CC-BY-4.0")
