"""What a member does with their account: receipts, statement, withdrawal, the way to the pages, tokens."""

from __future__ import annotations

from pathlib import Path

import click

from protocol.errors import CodedError, Language
from protocol.keyring import Ring
from recorder import credentials
from recorder.credentials import Membership
from recorder.options import (
    data_option,
    format_option,
    language_option,
    print_json,
    project_option,
)
from recorder.wording import say


@click.group(epilog="Example:  xiangyin receipts verify *.receipt.json")
def receipts() -> None:
    """Check receipts offline."""


@receipts.command(epilog="Example:  xiangyin receipts verify receipts/*.receipt.json")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--vkey", multiple=True, metavar="KEY", help="A key to trust beside those of joined projects.")
@click.option("--online", is_flag=True, help="Also ask the servers whether their logs still extend these.")
@language_option
@format_option
@click.pass_context
def verify(
    ctx: click.Context,
    files: tuple[Path, ...],
    vkey: tuple[str, ...],
    online: bool,
    language: Language,
    form: str,
) -> None:
    """Check proof, signature and key of receipts; no network is needed without --online.

    A receipt that does not hold, or by a key that nobody here trusts, gives exit status 1. Two heads of
    one log that contradict each other are told as well: the log was rewritten.
    """
    from recorder import receipts as checking

    joined = credentials.memberships(credentials.config_folder())
    pinned = {key: size for one in joined for key, size in one.ring.last_sizes.items()}
    trusted = Ring({**dict.fromkeys(vkey), **pinned})
    good, worst = [], 0
    for path in files:
        try:
            found = checking.check(checking.read_file(path), trusted)
        except CodedError as error:
            worst = max(worst, 2 if not path.is_file() else 1)
            if form == "json":
                print_json({"file": str(path), "good": False, "error": error.as_json(language)})
            else:
                click.echo(f"{path}: {error.sentence(language)}")
            continue
        good.append(found)
        worst = max(worst, int(not found.pinned))
        row = {
            "clip_id": found.clip_id,
            "sha256": found.sha256,
            "decision": found.decision,
            "seq": found.seq,
            "size": found.log_size,
            "vkey": found.receipt.vkey,
        }
        if form == "json":
            print_json({"file": str(path), "good": True, "pinned": found.pinned, **row})
        else:
            key = "receipt.good" if found.pinned else "receipt.unpinned"
            if found.decision in ("accept", "refuse"):
                row["decision"] = say(f"decision.{found.decision}", language)
            click.echo(f"{path}: {say(key, language, **row)}")
    for one, other in checking.forks(good):
        worst = max(worst, 1)
        if form == "json":
            print_json({"fork": [one.clip_id, other.clip_id], "size": one.log_size})
        else:
            click.echo(say("receipt.fork", language, one=one.clip_id, other=other.clip_id, size=one.log_size))
    for member in joined if online else ():
        worst = max(worst, _compare_online(member, files, language, form))
    ctx.exit(worst)


def _compare_online(member: Membership, files: tuple[Path, ...], language: Language, form: str) -> int:
    """Hold these receipts against the server's log as it is now; the exit status."""
    from recorder import keychain, loghead
    from recorder.api import Api

    try:
        api = Api(member.server, member.token, language)
        keychain.watched(
            api,
            member,
            credentials.data_folder() / "heads",
            files,
            lambda changed: credentials.save(credentials.config_folder(), changed),
        )
    except CodedError as error:
        if form == "json":
            print_json({"server": member.server, "good": False, "error": error.as_json(language)})
        else:
            click.echo(f"{error.code}: {error.sentence(language)}")
        told = (loghead.LedgerRolledBack, loghead.LedgerRewritten, loghead.KeyUntrusted)
        return 1 if isinstance(error, told) else 2
    return 0


@click.command(epilog="Example:  xiangyin statement")
@project_option
@language_option
@format_option
def statement(project: str | None, language: Language, form: str) -> None:
    """Show the account that the server keeps: accepted, refused and why, payable."""
    from recorder.api import Api

    member = credentials.choose(credentials.config_folder(), project=project)
    account = Api(member.server, member.token, language).get("/api/v1/me/statement")
    if form == "json":
        print_json(account)
        return
    counts = {key: account.get(key) for key in ("accepted", "refused", "pending", "accepted_s")}
    click.echo(say("statement.heading", language, project=member.project, **counts))
    payable_s = int(account.get("payable_ms") or 0) / 1000
    click.echo(say("statement.payable", language, payable_s=payable_s, terms=_terms(member)))
    for row in account.get("money") or ():
        click.echo(say("statement.money", language, **{key: row.get(key) for key in _MONEY}))
    for clip in account.get("clips") or ():
        reasons = "; ".join(f"{r['code']}: {r['message']}" for r in clip.get("reasons") or ())
        state = str(clip.get("state", ""))
        named = say(f"state.{state}", language) if state in _STATES else state
        click.echo("  ".join(part for part in (str(clip.get("clip_id")), named, reasons) if part))


_MONEY = ("currency", "payable", "paid", "open")
_STATES = ("received", "accepted", "refused", "appealed", "withdrawn")


def _terms(member: Membership) -> str:
    terms = member.project_json.get("terms") or {}
    return str(terms.get("version", "–"))


@click.command(epilog="Example:  xiangyin withdraw --session 2026-01-31-a")
@click.option("--clip", "clip_id", help="One clip.")
@click.option("--session", "session_id", help="Every clip of one recording session.")
@click.option("--all", "everything", is_flag=True, help="All that I gave, and my consent.")
@project_option
@data_option
@language_option
@format_option
def withdraw(
    clip_id: str | None,
    session_id: str | None,
    everything: bool,
    project: str | None,
    data: Path,
    language: Language,
    form: str,
) -> None:
    """Take recordings back from the server; the signed receipts are kept here.

    What is only on this machine stays on it: `xiangyin send` would send it, unless consent was withdrawn.
    """
    from urllib.parse import quote

    from recorder import durable
    from recorder import receipts as checking
    from recorder.api import Api

    if sum((clip_id is not None, session_id is not None, everything)) != 1:
        raise click.UsageError("Give one of --clip, --session, --all.")
    member = credentials.choose(credentials.config_folder(), role="speaker", project=project)
    if everything:
        path = "/api/v1/me"
    elif clip_id is not None:
        path = f"/api/v1/clips/{quote(clip_id, safe='')}"
    else:
        path = f"/api/v1/me/sessions/{quote(str(session_id), safe='')}"
    api = Api(member.server, member.token, language)
    done = api.json(api.send("DELETE", path))
    # Beside the folder of the receipts for sending: those prove what was received, these that it was erased.
    folder = data / "withdrawn"
    durable.make_folder(folder)
    kept = []
    for row in done.get("receipts") or ():
        checked = checking.check(row, member.ring)
        target = folder / f"{_file_name(checked.receipt.details.get('clip_id'))}.receipt.json"
        durable.write_json(target, row)
        kept.append(str(target))
    if form == "json":
        print_json({"clips": done.get("clips"), "receipts": kept})
    else:
        click.echo(say("withdrawn", language, clips=done.get("clips"), receipts=len(kept), path=folder))


@click.command(epilog="Example:  xiangyin page")
@project_option
@language_option
@format_option
def page(project: str | None, language: Language, form: str) -> None:
    """Print a link that signs a browser in once: to /me, to a passphrase, to your tokens."""
    from recorder.api import Api

    member = credentials.choose(credentials.config_folder(), project=project)
    made = Api(member.server, member.token, language).post("/api/v1/me/link", {})
    secret = str(made.get("url", "")).rpartition("/enter/")[2]
    url = f"{member.server}/enter/{_file_name(secret)}"  # on the server that was joined, and on no other
    if form == "json":
        print_json({"url": url, "expires_at": made.get("expires_at")})
    else:
        click.echo(say("page", language, url=url))


@click.group(epilog="Example:  xiangyin tokens make --scope read-releases --days 30")
def tokens() -> None:
    """List, make and end the tokens of a joined project."""


@tokens.command(name="list", epilog="Example:  xiangyin tokens list --format json")
@project_option
@language_option
@format_option
def list_tokens(project: str | None, language: Language, form: str) -> None:
    """Show what opens something in my name: programs' tokens and signed-in browsers."""
    from recorder.api import Api

    member = credentials.choose(credentials.config_folder(), project=project)
    for row in Api(member.server, member.token, language).get("/api/v1/me/tokens").get("tokens") or ():
        if form == "json":
            print_json(row)
        else:
            scopes = " ".join(row.get("scopes") or ())
            said = (row.get("id"), row.get("kind"), row.get("label") or "–", scopes, row.get("expires_at"))
            click.echo("  ".join(str(part) for part in said))


@tokens.command(
    name="make", epilog="Example:  xiangyin tokens make --scope read-releases --label nightly-pull"
)
@click.option(
    "--scope", "scopes", multiple=True, required=True, help="Such as upload, own, desk, read-releases."
)
@click.option("--label", help="What it is for.")
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 366), help="Until it ends.")
@project_option
@language_option
@format_option
def make_token(
    scopes: tuple[str, ...],
    label: str | None,
    days: int,
    project: str | None,
    language: Language,
    form: str,
) -> None:
    """Make a token and print it, once."""
    from recorder.api import Api

    member = credentials.choose(credentials.config_folder(), project=project)
    body = {"scopes": list(scopes), "label": label, "days": days}
    made = Api(member.server, member.token, language).post("/api/v1/me/tokens", body)
    if form == "json":
        print_json(made)
    else:
        click.echo(str(made.get("token")))


@tokens.command(name="revoke", epilog="Example:  xiangyin tokens revoke 3f0c9a71b2d84e56a7c81d20")
@click.argument("token_id")
@project_option
@language_option
@format_option
def revoke_token(token_id: str, project: str | None, language: Language, form: str) -> None:
    """End a token by the id that `tokens list` shows."""
    from urllib.parse import quote

    from recorder.api import Api

    member = credentials.choose(credentials.config_folder(), project=project)
    Api(member.server, member.token, language).send("DELETE", f"/api/v1/me/tokens/{quote(token_id, safe='')}")
    if form == "json":
        print_json({"revoked": token_id})
    else:
        click.echo(say("token.revoked", language, id=token_id))


def _file_name(text: object) -> str:
    """Only what our own ids are made of: a server must not choose where a file goes."""
    return "".join(c for c in str(text)[:80] if c.isascii() and (c.isalnum() or c in "-_"))
