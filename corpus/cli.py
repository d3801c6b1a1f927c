"""The operator's commands: projects, invitations, withdrawal, the ledger, and the care of the data."""

from __future__ import annotations

import hashlib
import json
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import click

from corpus.care_cli import backup, doctor, fsck, ledger, remeasure, restore
from corpus.options_cli import (
    HELP,
    FileUnreadable,
    console_note,
    data_option,
    format_option,
    open_data,
    read_text,
    tell,
)
from corpus.serve_cli import ADDRESS_FILE, DEFAULT_PORT, serve
from protocol.clip import ROLES, Role
from protocol.errors import CodedError

if TYPE_CHECKING:
    from corpus.terms import Kind
    from web.context import Site

__all__ = [
    "backup",
    "doctor",
    "fsck",
    "invite",
    "ledger",
    "paid",
    "project",
    "remeasure",
    "restore",
    "serve",
    "withdraw",
]


class ValueInvalid(CodedError):
    """An argument makes no sense."""

    code: ClassVar[str] = "VALUE_INVALID"


@click.group(context_settings=HELP, epilog="Example:  xiangyin project show taipei-street")
def project() -> None:
    """Create and show collection projects; import prompts."""


@project.command(
    epilog="Example:  xiangyin project create taipei-street --title 'Taipei street talk'"
    " --language nan-Hant-TW --orthography nan-Hant"
)
@click.argument("slug")
@click.option("--title", required=True, help="What people see.")
@click.option("--language", required=True, help="BCP 47 tag, such as nan-Hant-TW.")
@click.option("--orthography", required=True, help="A ruleset, such as nan-Hant.")
@click.option("--profile", "profile_id", default="everyday", show_default=True, help="A noise profile.")
@click.option("--terms", type=click.Path(path_type=Path), help="Text, or JSON/TOML with version and text.")
@click.option(
    "--consent", type=click.Path(path_type=Path), help="Text, or JSON/TOML with version, text, license."
)
@click.option("--contact", help="Whom to ask about the corpus: each release's card shows it.")
@data_option
@format_option
def create(
    slug: str, title: str, language: str, orthography: str, profile_id: str, terms: Path | None,
    consent: Path | None, contact: str | None, data: Path | None, form: str,
) -> None:  # fmt: skip
    """Create a project. The same command again changes nothing."""
    from corpus import projects
    from corpus.database import begin
    from noise_profiles import profile
    from transcribe.orthography import load

    load(orthography)
    if profile_id not in profile.load():
        raise ValueInvalid(field="profile", problem="need one of " + ", ".join(profile.load()))
    site = open_data(data, new=True)
    new = projects.Project(
        id=slug,
        title=title,
        language=language,
        orthography=orthography,
        profile_id=profile_id,
        terms=_agreement(terms, projects.DEFAULT_TERMS, "terms"),
        consent=_agreement(consent, projects.DEFAULT_CONSENT, "consent"),
        created_ms=site.clock_ms(),
        contact=contact,
    )
    with begin(site.engine) as db:
        projects.create(db, new)
        found = projects.by_id(db, slug)
    row = {**found.__dict__}
    tell(form, row, f"Project {slug}: {title} ({language}, rules {orthography}, profile {profile_id})")


@project.command(epilog="Example:  xiangyin project show taipei-street --format json")
@click.argument("slug")
@data_option
@format_option
def show(slug: str, data: Path | None, form: str) -> None:
    """Show a project and how far it is."""
    from corpus import counts, projects, prompts
    from corpus.database import reading

    site = open_data(data)
    with reading(site.engine) as db:
        found = projects.by_id(db, slug)
        texts = len(prompts.of_project(db, slug))
        states = counts.clips_by_state(db, slug)
    row = {**found.__dict__, "prompts": texts, "clips": states}
    said = ", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "no clips yet"
    tell(
        form,
        row,
        f"{found.id}: {found.title}\n  language {found.language}, rules {found.orthography}, profile"
        f" {found.profile_id}\n  terms {found.terms['version']}, consent {found.consent['version']}"
        f" ({found.consent['license']})\n  contact {found.contact or 'none'}\n  {texts} prompts; {said}",
    )


@project.command(name="prompts", epilog="Example:  xiangyin project prompts taipei-street prompts.txt")
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@format_option
def import_prompts(slug: str, file: Path, data: Path | None, form: str) -> None:
    """Import prompts: text (one a line), CSV or JSONL. One bad line, and none is taken."""
    from corpus import projects, prompts
    from corpus.database import begin, reading
    from transcribe.text import fold

    read = prompts.read(read_text(file), file.name)
    site = open_data(data)
    with reading(site.engine) as db:
        ruleset = projects.by_id(db, slug).orthography
    folded = [(prompt_id, text, " ".join(fold(text, ruleset))) for prompt_id, text in read]
    with begin(site.engine) as db:
        added = prompts.add(db, slug, folded)
    row = {"project": slug, "added": added, "there": len(read) - added}
    tell(form, row, f"{added} prompts added, {len(read) - added} were there already")


@project.command(name="terms", epilog="Example:  xiangyin project terms taipei-street terms-2.toml")
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@format_option
def revise_terms(slug: str, file: Path, data: Path | None, form: str) -> None:
    """Put a new version of the terms in force. What has arrived is judged and paid as was agreed then."""
    _revise(slug, "terms", file, data, form)


@project.command(name="consent", epilog="Example:  xiangyin project consent taipei-street consent-2.toml")
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@format_option
def revise_consent(slug: str, file: Path, data: Path | None, form: str) -> None:
    """Put a new version of the consent text in force. Clips stay under the text their speaker agreed to."""
    _revise(slug, "consent", file, data, form)


@project.command(epilog="Example:  xiangyin project contact taipei-street corpus@example.org")
@click.argument("slug")
@click.argument("contact")
@data_option
@format_option
def contact(slug: str, contact: str, data: Path | None, form: str) -> None:
    """Name whom to ask about the corpus; the cards of later releases show it. An empty text names nobody."""
    from corpus import projects
    from corpus.database import begin

    site = open_data(data)
    with begin(site.engine) as db:
        projects.set_contact(db, slug, contact or None)
    said = f"Contact of {slug}: {contact}" if contact else f"{slug} names no contact"
    tell(form, {"project": slug, "contact": contact or None}, said)


def _revise(slug: str, kind: Kind, file: Path, data: Path | None, form: str) -> None:
    from corpus import projects
    from corpus.database import begin

    default = projects.DEFAULT_TERMS if kind == "terms" else projects.DEFAULT_CONSENT
    site = open_data(data)
    body = _agreement(file, default, kind)
    with begin(site.engine) as db:
        is_new = projects.revise(db, slug, kind, body, now_ms=site.clock_ms())
    row = {"project": slug, "kind": kind, "version": body["version"], "changed": is_new}
    said = "is in force now" if is_new else "was in force already"
    tell(form, row, f"{kind} {body['version']} of {slug} {said}")


@click.command(
    context_settings=HELP, epilog="Example:  xiangyin paid --speaker S7K2M9QXA --until 4711 --reference may"
)
@click.option("--speaker", "speaker_id", required=True, help="A speaker's pseudonym.")
@click.option("--until", type=click.IntRange(min=0), help="Pay what stands up to this entry; else the last.")
@click.option("--amount", help="An amount such as 12.50; all that is open if not given.")
@click.option("--reference", help="Your own name for it; the same again is logged once.")
@data_option
@format_option
def paid(
    speaker_id: str,
    until: int | None,
    amount: str | None,
    reference: str | None,
    data: Path | None,
    form: str,
) -> None:
    """Log a payment that was made to a speaker, so that statements show payable, paid and open."""
    from corpus import payments, people, terms
    from corpus.clips import ClipNotFound
    from corpus.database import begin

    if amount is not None and reference is None:
        raise click.UsageError("Give --amount with a --reference, so that repeating it does not pay twice.")
    micros = None if amount is None else terms.micros(amount)
    if amount is not None and not micros:
        raise ValueInvalid(field="--amount", problem="need an amount above 0 with at most six decimals")
    site = open_data(data)
    with begin(site.engine) as db:
        person_id = people.by_speaker(db, speaker_id)
        if person_id is None:
            raise ClipNotFound()
        done = payments.pay(
            db,
            person_id,
            until_seq=until,
            amount_micros=micros,
            reference=reference,
            signer=site.signer,
            item_id=secrets.token_hex(16),
            salt=secrets.token_bytes(16),
            now_ms=site.clock_ms(),
        )
    row = {"speaker": speaker_id, **payments.as_json(done)}
    tell(form, row, f"{row['amount']} {row['currency']} to {speaker_id}, entry {done.seq} of the log")


@click.command(
    context_settings=HELP, epilog="Example:  xiangyin invite taipei-street --role speaker --count 20"
)
@click.argument("slug")
@click.option("--role", required=True, type=click.Choice(ROLES))
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 10_000))
@data_option
@format_option
def invite(slug: str, role: str, count: int, data: Path | None, form: str) -> None:
    """Print one-time invitations to a project. Each is shown once and stored hashed."""
    from corpus import people, projects
    from corpus.database import begin
    from corpus.ledger import rfc3339

    site = open_data(data)
    base = _address(site)
    now_ms = site.clock_ms()
    expires_ms = now_ms + 1000 * site.settings.invitation_expires_s
    made = [secrets.token_urlsafe(24) for _ in range(count)]
    with begin(site.engine) as db:
        projects.by_id(db, slug)
        for secret in made:
            people.invite(
                db, secret, project_id=slug, role=cast(Role, role), now_ms=now_ms, expires_ms=expires_ms
            )
    console_note(site.engine, "invite", slug)
    for secret in made:
        url = f"{base}/join/{secret}"
        row = {"invite": secret, "url": url, "role": role, "project": slug, "expires_at": rfc3339(expires_ms)}
        tell(form, row, url)


@click.command(
    context_settings=HELP,
    epilog="Example:  xiangyin withdraw --clip 1f0c6a52-9b7e-4c1d-8a3e-5d2b7f90c114",
)
@click.option("--clip", "clip_id", help="A clip's id.")
@click.option("--session", "session_id", help="A session's id.")
@click.option("--speaker", "speaker_id", help="A speaker's pseudonym.")
@data_option
@format_option
def withdraw(
    clip_id: str | None, session_id: str | None, speaker_id: str | None, data: Path | None, form: str
) -> None:
    """Withdraw a clip, a session or a speaker: sound, texts and published copies are erased."""
    from corpus import clips, people, withdrawal
    from corpus.database import reading
    from corpus.statistics import counted

    if sum(x is not None for x in (clip_id, session_id, speaker_id)) != 1:
        raise click.UsageError("Give one of --clip, --session, --speaker.")
    site = open_data(data)
    if session_id is not None:
        done = withdrawal.of_session(site.custody, session_id)
    else:
        with reading(site.engine) as db:
            found = clips.find(db, clip_id) if clip_id is not None else None
            person_id = people.by_speaker(db, speaker_id) if speaker_id is not None else None
        if found is not None:
            done = withdrawal.of_clips(site.custody, [found])
        elif person_id is not None:
            done = withdrawal.of_person(site.custody, person_id)
        else:
            raise clips.ClipNotFound()
    if done.clips == 0:
        raise clips.ClipNotFound()
    console_note(site.engine, "withdraw", clip_id or session_id or speaker_id)
    tell(form, done.as_json(), f"{counted(done.clips, 'clip')} withdrawn, {len(done.receipts)} of them now")


@click.command(context_settings=HELP, epilog="Example:  xiangyin audit --action listen --format json")
@click.option("--action", help="Only this action, such as listen, download, sign-in.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 1_000_000), help="How many.")
@data_option
@format_option
def audit(action: str | None, limit: int, data: Path | None, form: str) -> None:
    """Print who did what, the newest first: plays, downloads, decisions, tokens, sign-ins."""
    from corpus import audit as log
    from corpus.database import reading

    site = open_data(data)
    with reading(site.engine) as db:
        rows = log.entries(db, action=action, limit=limit)
    for row in rows:
        tell(form, row, "  ".join(str(row[key] or "–") for key in row if key != "id"))


@click.command(
    context_settings=HELP, epilog="Example:  xiangyin tokens --data corpus-data --person 3f0c --revoke"
)
@click.option(
    "--person", required=True, help="A person's id, as the audit names it, or a speaker's pseudonym."
)
@click.option("--revoke", is_flag=True, help="End them all: programs' tokens and signed-in browsers.")
@data_option
@format_option
def tokens(person: str, revoke: bool, data: Path | None, form: str) -> None:
    """Show the tokens of a person, or end them all, in a server's data folder."""
    from corpus import people
    from corpus.database import begin
    from corpus.ledger import rfc3339

    site = open_data(data)
    now_ms = site.clock_ms()
    with begin(site.engine) as db:
        person_id = people.by_speaker(db, person) or person
        rows = people.tokens(db, person_id, now_ms=now_ms)
        for row in rows if revoke else ():
            people.revoke_own(db, row.id, person_id, now_ms=now_ms)
    if revoke and rows:
        console_note(site.engine, "token-revoked", person_id)
    for row in rows:
        shown = {
            "id": row.id,
            "kind": row.kind,
            "label": row.label,
            "scopes": list(row.scopes),
            "expires_at": rfc3339(row.expires_ms),
            "revoked": revoke,
        }
        tell(form, shown, "  ".join(map(str, shown.values())))


def _address(site: Site) -> str:
    if site.settings.public_url:
        return site.settings.public_url.rstrip("/")
    try:
        return (site.settings.data / ADDRESS_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return f"http://127.0.0.1:{DEFAULT_PORT}"


def _agreement(path: Path | None, default: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Terms or consent from a file; a plain text gets a version from its digest."""
    if path is None:
        return default
    text = read_text(path)
    try:
        if path.suffix == ".json":
            found = json.loads(text)
        elif path.suffix == ".toml":
            found = tomllib.loads(text)
        else:
            found = {
                "version": f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}",
                "text": text.strip(),
            }
    except ValueError as error:
        raise FileUnreadable(file=str(path), problem=str(error)) from error
    if not isinstance(found, dict):
        raise FileUnreadable(file=str(path), problem="need an object with version and text")
    return {**{k: v for k, v in default.items() if k not in ("version", "text")}, **found}
