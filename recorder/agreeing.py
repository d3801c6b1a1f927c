"""A project's terms that changed since they were agreed to: shown before further work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from protocol.errors import CodedError, Language
from recorder.credentials import Membership
from recorder.wording import say


class TermsNew(CodedError):
    """Terms that nobody here has agreed to yet."""

    code = "TERMS_NEW"


def version_of(project_json: Mapping[str, Any]) -> str | None:
    """The version of a project's terms, as the server last told them."""
    terms = project_json.get("terms")
    version = terms.get("version") if isinstance(terms, dict) else None
    return version if isinstance(version, str) else None


def pending(member: Membership) -> Mapping[str, Any] | None:
    """The terms that wait for a yes; None where those that were agreed to stand."""
    if member.terms_agreed is None or version_of(member.project_json) in (None, member.terms_agreed):
        return None
    terms: Mapping[str, Any] = member.project_json["terms"]
    return terms


def agreed(member: Membership) -> Membership:
    """The membership, with a yes to the terms as they are now."""
    return replace(member, terms_agreed=version_of(member.project_json))


def lines(terms: Mapping[str, Any], language: Language) -> list[str]:
    """What a person must know of them, and their text."""
    shown = [say("terms.changed", language, version=terms.get("version"))]
    if terms.get("currency"):
        shown.append(
            say(
                "terms.rates",
                language,
                **{name: terms.get(name) for name in ("currency", "rate_per_s", "rate_per_clip")},
            )
        )
    days = {name: terms.get(name) for name in ("appeal_days", "decision_days")}
    shown.append(say("terms.deadlines", language, **days))
    return [*shown, "", str(terms.get("text", "")), ""]
