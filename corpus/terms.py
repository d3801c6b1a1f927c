"""A project's terms as checked data: what is paid, until when may be appealed and decided, which codes.

Terms are versioned. A clip is judged and paid under the version it arrived under; older versions stay
readable, because receipts name them. Money is counted in whole millionths of the currency's unit
(micros), so that a sum of clips is exactly the sum of its parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, ClassVar, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus.tables import agreement, project
from protocol.errors import CodedError, catalogue

Kind = Literal["terms", "consent"]
APPEAL_DAYS = 14
DECISION_DAYS = 30
DAY_MS = 86_400_000
MICROS = 1_000_000
MAX_DAYS = 3650
# Reasons that a person hears and no measurement finds: what a reviewer may refuse with.
HEARD: tuple[str, ...] = (
    "content.unclear",
    "content.cut_off",
    "content.other_voice",
    "content.disturbed",
    "content.not_prompt",
    "content.other_language",
    "content.personal",
)
_NOT_REASONS = ("excluded.", "decision.", "payment.")  # families of codes that refuse no clip
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FIELDS = (
    "version",
    "text",
    "currency",
    "rate_per_s",
    "rate_per_clip",
    "appeal_days",
    "decision_days",
    "codes",
)


class TermsInvalid(CodedError):
    """A value of terms or consent has a wrong shape."""

    code: ClassVar[str] = "VALUE_INVALID"


class VersionTaken(CodedError):
    """A version names other words already: a version is never rewritten."""

    code: ClassVar[str] = "TERMS_VERSION_TAKEN"


class VersionUnknown(CodedError):
    """The project has no such version."""

    code: ClassVar[str] = "NOT_FOUND"


@dataclass(frozen=True)
class Terms:
    """One version of a project's terms.

    Attributes
    ----------
    rate_per_s_micros, rate_per_clip_micros : int
        Pay of an accepted second and of an accepted clip, in millionths of `currency`; both add up.
    appeal_ms : int
        How long after a refusal its speaker may appeal.
    decision_ms : int
        Within which a person must decide: a reviewer after a clip's arrival, another one after an
        appeal. Silence past it counts as acceptance.
    codes : tuple of str
        What a reviewer may refuse with. What the measuring refuses is the noise profile's matter.
    """

    version: str
    text: str
    currency: str | None
    rate_per_s_micros: int
    rate_per_clip_micros: int
    appeal_ms: int
    decision_ms: int
    codes: tuple[str, ...]

    def pay_micros(self, accepted_ms: int) -> int:
        """What one accepted clip earns; a part of a millionth is dropped."""
        return self.rate_per_s_micros * accepted_ms // 1000 + self.rate_per_clip_micros

    def as_json(self) -> dict[str, Any]:
        """What people and programs are shown, every default written out; rates are decimal text."""
        return {
            "version": self.version,
            "text": self.text,
            "currency": self.currency,
            "rate_per_s": decimal(self.rate_per_s_micros) if self.currency else None,
            "rate_per_clip": decimal(self.rate_per_clip_micros) if self.currency else None,
            "appeal_days": _days(self.appeal_ms),
            "decision_days": _days(self.decision_ms),
            "codes": list(self.codes),
        }


def reason_codes() -> tuple[str, ...]:
    """The published list: every code that a clip may be refused with."""
    return tuple(code for code in catalogue() if "." in code and not code.startswith(_NOT_REASONS))


def parse(value: object) -> Terms:
    """Read terms strictly; what is not given has the default that `Terms.as_json` shows.

    Raises
    ------
    TermsInvalid
        Naming the field that is wrong. A field that terms do not have is refused, so that a misspelt
        rate does not pay nothing in silence.
    """
    row = worded(value, "terms")
    for name in row:
        if name not in _FIELDS:
            raise TermsInvalid(field=f"terms.{name}"[:80], problem="there is no such field")
    per_s, per_clip = (_rate(row, name) for name in ("rate_per_s", "rate_per_clip"))
    currency = row.get("currency")
    if currency is not None and (not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency)):
        raise TermsInvalid(field="terms.currency", problem="need an ISO 4217 code such as TWD")
    if (per_s or per_clip) and currency is None:
        raise TermsInvalid(field="terms.currency", problem="a rate needs its currency, such as TWD")
    return Terms(
        version=row["version"],
        text=row["text"],
        currency=currency,
        rate_per_s_micros=per_s,
        rate_per_clip_micros=per_clip,
        appeal_ms=_deadline(row, "appeal_days", APPEAL_DAYS),
        decision_ms=_deadline(row, "decision_days", DECISION_DAYS),
        codes=_codes(row.get("codes")),
    )


def stored(value: Mapping[str, Any]) -> Terms:
    """Read terms that a database holds: a field that an earlier version let pass unchecked says nothing.

    A clip on its way must never be refused because of a project's old settings.
    """
    return _stored(json.dumps(value, sort_keys=True))


@lru_cache(maxsize=256)
def _stored(text: str) -> Terms:
    """By the text, because every clip asks, and terms change once in months."""
    value = json.loads(text)
    kept: dict[str, Any] = {"version": value["version"], "text": value["text"]}
    for name in _FIELDS[2:]:  # the currency before the rates, which need it
        try:
            parse({**kept, name: value.get(name)})
        except TermsInvalid:
            continue
        kept[name] = value.get(name)
    return parse(kept)


def worded(value: object, name: str) -> Mapping[str, Any]:
    """An object with a version and a text, as terms and consent both are."""
    if not isinstance(value, Mapping) or not isinstance(value.get("text"), str) or not value["text"].strip():
        raise TermsInvalid(field=name, problem="need an object with version and text")
    if not isinstance(value.get("version"), str) or not _VERSION.fullmatch(value["version"]):
        raise TermsInvalid(field=f"{name}.version", problem="need letters, digits, dots and dashes")
    return value


def micros(text: object) -> int | None:
    """An amount of money as whole millionths, or None where it is none or has finer parts."""
    if isinstance(text, bool) or not isinstance(text, int | float | str | Decimal):
        return None
    try:
        amount = Decimal(str(text))
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount < 10**9 or amount != round(amount, 6):
        return None
    return int(amount * MICROS)


def decimal(amount_micros: int) -> str:
    """Millionths as decimal text with at least two places: ``12.50``, ``0.0125``."""
    sign, whole = "-" * (amount_micros < 0), abs(amount_micros)
    places = f"{whole % MICROS:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole // MICROS}.{places}"


def remember(db: Connection, project_id: str, kind: Kind, body: Mapping[str, Any], *, now_ms: int) -> bool:
    """Keep a version for ever; whether it is new. The same version with other words is refused."""
    known = _body(db, project_id, kind, body["version"])
    if known is not None:
        if known != dict(body):
            raise VersionTaken(version=body["version"], kind=kind)
        return False
    db.execute(
        sa.insert(agreement).values(
            project_id=project_id, kind=kind, version=body["version"], body=dict(body), since_ms=now_ms
        )
    )
    return True


def versions(db: Connection, project_id: str, kind: Kind) -> list[tuple[Mapping[str, Any], int]]:
    """Every version with the time that it began, oldest first."""
    query = sa.select(agreement.c.body, agreement.c.since_ms).where(
        agreement.c.project_id == project_id, agreement.c.kind == kind
    )
    rows = db.execute(query.order_by(agreement.c.since_ms, agreement.c.version))
    return [(row.body, row.since_ms) for row in rows]


def of_version(db: Connection, project_id: str, version: str) -> Terms:
    """Terms by version; without one, as for a clip older than this record, those in force.

    Raises
    ------
    VersionUnknown
        If the project never had it.
    """
    present = db.execute(sa.select(project.c.terms).where(project.c.id == project_id)).scalar()
    if present is not None and version in ("", present.get("version")):
        return stored(present)
    body = _body(db, project_id, "terms", version)
    if body is None:
        raise VersionUnknown()
    return stored(body)


def _body(db: Connection, project_id: str, kind: Kind, version: str) -> dict[str, Any] | None:
    query = sa.select(agreement.c.body).where(
        agreement.c.project_id == project_id, agreement.c.kind == kind, agreement.c.version == version
    )
    return db.execute(query).scalar()


def _rate(row: Mapping[str, Any], name: str) -> int:
    if row.get(name) is None:
        return 0
    found = micros(row[name])
    if found is None:
        raise TermsInvalid(field=f"terms.{name}", problem="need an amount with at most six decimal places")
    return found


def _deadline(row: Mapping[str, Any], name: str, default: int) -> int:
    days = default if row.get(name) is None else row[name]
    if isinstance(days, bool) or not isinstance(days, int | float) or not 0 < days <= MAX_DAYS:
        raise TermsInvalid(field=f"terms.{name}", problem=f"need a number of days above 0, up to {MAX_DAYS}")
    return max(1, round(days * DAY_MS))


def _days(span_ms: int) -> int | float:
    return span_ms // DAY_MS if span_ms % DAY_MS == 0 else span_ms / DAY_MS


def _codes(value: object) -> tuple[str, ...]:
    if value is None:
        return HEARD
    published = reason_codes()
    if not isinstance(value, list) or not value or any(code not in published for code in value):
        raise TermsInvalid(field="terms.codes", problem="need a list of codes that `xiangyin` publishes")
    return tuple(dict.fromkeys(value))
