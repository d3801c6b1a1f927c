"""The `xiangyin` command: joins the packages' commands and imports each only when it is called."""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from protocol.errors import LANGUAGES, CodedError, Language, nearest_language, sentence

# name: (where the click command stands, one line of help). Nothing is imported for `--help`.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo.cli:demo", "Run the whole job, microphone to manifest, on this machine."),
    "serve": ("corpus.cli:serve", "Run the intake server and its pages."),
    "project": ("corpus.cli:project", "Create and show collection projects; import prompts."),
    "invite": ("corpus.cli:invite", "Print one-time invitations to a project."),
    "join": ("recorder.cli:join", "Exchange an invitation for a credential kept on this machine."),
    "devices": ("recorder.cli:devices", "List microphones and loudspeakers."),
    "calibrate": ("recorder.cli:calibrate", "Store what sound level a device's full scale means."),
    "record": ("recorder.cli:record", "Record under a noise grade, with SNR checked at once."),
    "import": ("recorder.cli:import_", "Cut existing long recordings into clips and spool them."),
    "send": ("recorder.cli:send", "Upload what is spooled, resuming."),
    "status": ("recorder.cli:status", "Show where each clip stands."),
    "receipts": ("recorder.cli:receipts", "Check receipts offline."),
    "statement": ("recorder.cli:statement", "Show the account: accepted, refused and why, payable."),
    "withdraw": ("corpus.cli:withdraw", "Withdraw a clip, a session or all of a speaker."),
    "paid": ("corpus.cli:paid", "Log a payment to a speaker."),
    "page": ("recorder.cli:page", "Print a link that signs a browser in once."),
    "tokens": ("recorder.cli:tokens", "List, make and end tokens."),
    "audit": ("corpus.cli:audit", "Show who played, fetched and decided what."),
    "measure": ("noise_profiles.cli:measure", "Measure level, noise and SNR of audio files."),
    "lint": ("transcribe.cli:lint", "Check transcripts against the rules."),
    "rules": ("transcribe.cli:rules", "Show the rules, or one rule's page."),
    "agreement": ("transcribe.cli:agreement", "Compare two transcript files."),
    "release": ("corpus.release_cli:release", "Cut, list, compare and verify releases."),
    "pull": ("corpus.pull_cli:pull", "Fetch and verify a release, incrementally."),
    "export": ("corpus.pull_cli:export", "Write a release in a toolkit's format."),
    "remeasure": ("corpus.cli:remeasure", "Run history through the current measuring method."),
    "fsck": ("corpus.cli:fsck", "Verify every blob, row, ledger entry and release."),
    "backup": ("corpus.cli:backup", "Make a consistent copy."),
    "restore": ("corpus.cli:restore", "Bring a copy back."),
    "ledger": ("corpus.cli:ledger", "Export and check the append-only log."),
    "keys": ("corpus.keys_cli:keys", "List the log's keys; let a new one follow."),
    "doctor": ("corpus.cli:doctor", "Say what works on this machine, and what to do about the rest."),
}
# Two of these have two sides: a member's, over the network, and the operator's, in a server's data folder.
SIDES = {"withdraw": "recorder.cli:withdraw", "tokens": "corpus.cli:tokens"}
_WORDS = "xiangyin.words"
CORPUS_LANGUAGE = {"project", "pull", "export"}  # their --language is that of the speech


class Commands(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order a newcomer meets them."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Keep the words, which say whose side of a command is meant."""
        ctx.meta[_WORDS] = tuple(args)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        target = COMMANDS[cmd_name][0]
        if cmd_name in SIDES and target.startswith("corpus") != _is_operators(ctx.meta.get(_WORDS, ())):
            target = SIDES[cmd_name]
        module_name, _, attribute = target.partition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise LibraryMissing.for_module(error.name or "?", module_name) from error
        command: click.Command = getattr(module, attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table above, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _is_operators(words: Sequence[str]) -> bool:
    """Whether a command is about a data folder: one is named, or set, or lies here."""
    names = {word.partition("=")[0] for word in words}
    if "--all" in names or names & {"list", "make", "revoke"}:
        return False
    if names & {"--data", "--speaker", "--person"} or os.environ.get("XIANGYIN_DATA"):
        return True
    return (Path("xiangyin-data") / "keys").is_dir()


class LibraryMissing(CodedError):
    """A command's library is not installed, as when only the linter was."""

    code = "LIBRARY_MISSING"

    @classmethod
    def for_module(cls, library: str, module_name: str) -> LibraryMissing:
        """Name the extra that brings it."""
        extras = {
            "recorder": "recorder",
            "noise_profiles": "audio",
            "demo": "demo",
            "corpus.pull_cli": "pull",
        }
        extra = extras.get(module_name) or extras.get(module_name.split(".")[0], "server")
        return cls(library=library, command=f"pip install 'xiangyin[{extra}]'")


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example:  xiangyin demo",
)
@click.version_option(package_name="xiangyin", prog_name="xiangyin")
def cli() -> None:
    """Collect dialect speech, transcribe it, release it as a verified corpus."""


def main(args: Sequence[str] | None = None) -> Any:
    """Run the command; a coded error is one line on stderr and exit status 2."""
    try:
        return cli.main(args=args, prog_name="xiangyin")
    except CodedError as error:
        words = sys.argv[1:] if args is None else args
        language = _language(words)
        if "--format=json" in words or "json" in words:
            click.echo(json.dumps({"error": error.as_json(language)}, ensure_ascii=False))
        click.echo(f"{error.code}: {error.sentence(language)}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # What is printed goes to a full disk, so nothing of it is whole; status 1 would say "some refused".
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit would fail once more
        words = sys.argv[1:] if args is None else args
        click.echo(f"DISK_FULL: {sentence('DISK_FULL', _language(words))}", err=True)
        sys.exit(2)


def _language(words: Sequence[str]) -> Language:
    """What a person wants to be told in: an option, or the environment as the recorder reads it."""
    from recorder.wording import language_of

    if words and words[0] not in CORPUS_LANGUAGE:
        for word, after in zip(words, [*words[1:], ""], strict=True):
            name, equals, value = word.partition("=")
            chosen = value if equals else after
            if name in ("--language", "--lang") and chosen in LANGUAGES:
                return nearest_language(chosen)
    return language_of()


if __name__ == "__main__":
    main()
