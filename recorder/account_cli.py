"""`xiangyin receipts` and `xiangyin statement`: what was promised, checked and added up."""

from __future__ import annotations

from pathlib import Path

import click

from protocol.errors import CodedError, Language
from recorder import credentials
from recorder.credentials import Membership
from recorder.options import format_option, language_option, print_json, project_option
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
    trusted = {key for one in joined for key in one.vkeys} | set(vkey)
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
    from recorder import loghead
    from recorder.api import Api

    try:
        api = Api(member.server, member.token, language)
        loghead.watch(api, member.vkeys, credentials.data_folder() / "heads", files)
    except CodedError as error:
        if form == "json":
            print_json({"server": member.server, "good": False, "error": error.as_json(language)})
        else:
            click.echo(f"{error.code}: {error.sentence(language)}")
        return 1 if isinstance(error, loghead.LedgerRolledBack | loghead.LedgerRewritten) else 2
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
    for clip in account.get("clips") or ():
        reasons = "; ".join(f"{r['code']}: {r['message']}" for r in clip.get("reasons") or ())
        state = str(clip.get("state", ""))
        named = say(f"state.{state}", language) if state in _STATES else state
        click.echo("  ".join(part for part in (str(clip.get("clip_id")), named, reasons) if part))


_STATES = ("received", "accepted", "refused", "appealed", "withdrawn")


def _terms(member: Membership) -> str:
    terms = member.project_json.get("terms") or {}
    return str(terms.get("version", "–"))
