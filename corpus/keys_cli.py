"""``xiangyin keys``: the keys that sign the log, and a new one in place of the present."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from corpus.options_cli import HELP, console_note, data_option, format_option, open_data, tell


@click.group(context_settings=HELP, epilog="Example:  xiangyin keys rotate")
def keys() -> None:
    """List the keys of the log; let a new one follow."""


@keys.command(name="list", epilog="Example:  xiangyin keys list --format json")
@data_option
@format_option
def list_keys(data: Path | None, form: str) -> None:
    """Show every key that signed this server's log, the present one first, and how long a log it may sign."""
    from corpus import rotation
    from corpus.database import reading

    site = open_data(data)
    with reading(site.engine) as db:
        rows = rotation.published(db, site.signer)["keys"]
    for row in rows:
        span = "signs now" if row["to_size"] is None else f"up to {row['to_size']} entries, {row['until']}"
        tell(form, row, f"{row['vkey']}  {span}")


@keys.command(epilog="Example:  xiangyin keys rotate")
@click.option("--secret", is_flag=True, help="The server's own secret instead; the server must be stopped.")
@data_option
@format_option
def rotate(secret: bool, data: Path | None, form: str) -> None:
    """Let a new key follow the present one, also while servers run.

    The log gets an entry that names both, and a head that both sign; clients take the new key for the old
    one's signature and for nothing else. The old private key is deleted; what it signed stays good.

    With --secret browsers are not recognised any more and an interrupted join is done again; nobody is
    signed out.
    """
    site = open_data(data)
    if secret:
        from corpus.keys import new_secret
        from corpus.serve_cli import alone

        path = site.settings.secret_key_path
        with alone(site.settings):
            new_secret(path)
        console_note(site.engine, "secret-rotated", None)
        tell(form, {"secret": str(path)}, f"A new secret is in {path}")
        return
    from corpus import rotation

    made = rotation.rotate(
        site.engine,
        site.signer,
        item_id=secrets.token_hex(16),
        salt=secrets.token_bytes(16),
        now_ms=site.clock_ms(),
    )
    console_note(site.engine, "key-rotated", made.new.key_id.hex())
    tell(form, made.as_json(), f"{made.new} signs from now on; {made.old} signed up to {made.size} entries")
