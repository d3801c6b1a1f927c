"""`xiangyin lint`, `xiangyin rules` and `xiangyin agreement`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from protocol.errors import LANGUAGES, CodedError, Language
from transcribe import files, lines, orthography
from transcribe import lint as engine
from transcribe.orthography import Orthography

LANGUAGE = click.option(
    "--lang",
    "language",
    type=click.Choice(LANGUAGES),
    default="en",
    show_default=True,
    help="Language of the sentences.",
)
RULESET = click.option(
    "--ruleset", required=True, metavar="ID", help="A built-in ruleset, or the path of a project's own file."
)


def _ruleset(name: str) -> Orthography:
    """A built-in ruleset, or a project's file."""
    if name.endswith(".toml") or os.sep in name:
        return orthography.read(Path(name))
    return orthography.load(name)


class _Linter:
    """One run over one file: counts, prints, and writes the mended lines somewhere."""

    def __init__(self, path: str, orth: Orthography, options: dict[str, Any]) -> None:
        self.path = "<stdin>" if path == files.STDIN else path
        self.orth = orth
        self.style: str = options["style"]
        self.language: Language = options["language"]
        self.diff: bool = options["diff"]
        self.fix: bool = options["fix"] and not options["diff"]
        self.report_to_stderr = self.fix and path == files.STDIN and self.style != "json"
        self.codes: Counter[str] = Counter()
        self.utterances = self.mended = self.refused = self.unreadable = self.changed = 0

    def say(self, text: str) -> None:
        """Print a report, if there is anything in it."""
        if text:
            click.echo(text, err=self.report_to_stderr)

    def line(self, line: lines.Line) -> bytes:
        """Check one line, report it, and return its bytes, mended if asked."""
        from transcribe import report

        self.utterances += 1
        if line.error is not None:
            self.unread(line, line.error)
            return line.raw
        fixed = engine.fix(line.text, self.orth, speech_s=line.speech_s)
        for found in fixed.findings:
            self.codes[found.code] += 1
        changed = fixed.text != line.text
        self.mended += changed
        self.refused += not fixed.clean
        if self.style == "json":
            self.say(report.as_json(self._json(line, fixed)))
        elif self.diff:
            if changed:
                after = line.rewritten(fixed.text, _events(fixed))
                hunk = report.as_diff(self.path, line, after, first=self.mended == 1)
                sys.stdout.buffer.write(hunk)
                sys.stdout.buffer.flush()
        elif fixed.findings:
            shown = [each for each in fixed.findings if not (self.fix and each.safe and fixed.clean)]
            write = report.as_github if self.style == "github" else report.as_text
            self.say(write(self.path, line, shown, self.language))
        if not (self.fix and changed):
            return line.raw
        self.changed += 1
        return line.rewritten(fixed.text, _events(fixed))

    def _json(self, line: lines.Line, fixed: engine.Fixed) -> dict[str, object]:
        return engine.as_json(line.text, fixed, id=line.id, language=self.language)

    def unread(self, line: lines.Line, error: CodedError) -> None:
        """Report a line that cannot be checked."""
        from transcribe import report

        self.unreadable += 1
        self.codes[error.code] += 1
        if self.style == "json":
            self.say(
                report.as_json({"id": line.id, "line": line.number, "error": error.as_json(self.language)})
            )
        else:
            write = report.error_as_github if self.style == "github" else report.error_as_text
            self.say(write(self.path, line, error, self.language))

    def summary(self) -> str:
        """One line for people."""
        parts = [f"{self.utterances} utterances", f"{self.refused + self.unreadable} need a person"]
        parts.append(f"{self.changed} mended" if self.fix else f"{self.mended} can be mended with --fix")
        return ", ".join(parts)

    def status(self) -> int:
        """0 if nothing is left to do, else 1."""
        return int(bool(self.refused or self.unreadable or (self.mended and not self.fix)))


def _events(fixed: engine.Fixed) -> list[dict[str, object]]:
    return [{"label": event.label, "at": event.at} for event in fixed.events]


def _codes(values: tuple[str, ...]) -> list[str]:
    """Codes and families from repeated or comma-separated options."""
    if not values:
        return []
    known = engine.catalogue()
    found = [code for value in values for code in value.replace(",", " ").upper().split()]
    for code in found:
        if not any(each.startswith(code) for each in known):
            from transcribe.pages import RuleUnknown

            raise RuleUnknown(rule=code)
    return found


@click.command(epilog="Example:  xiangyin lint takes.jsonl --ruleset nan-Hant --fix")
@click.argument("paths", nargs=-1, metavar="[PATH|-]...")
@RULESET
@click.option("--fix", is_flag=True, help="Apply the safe fixes: in place, or from stdin to stdout.")
@click.option("--diff", is_flag=True, help="Show what --fix would change as a patch, and change nothing.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How findings are printed.",
)
@click.option("--select", multiple=True, metavar="CODES", help="Only these rules or families, e.g. P,N001.")
@click.option("--ignore", multiple=True, metavar="CODES", help="Not these rules or families.")
@click.option("--statistics", is_flag=True, help="Count the findings of each rule at the end.")
@click.option(
    "--input",
    "kind",
    type=click.Choice(["auto", "text", "jsonl"]),
    default="auto",
    show_default=True,
    help="Text has one utterance a line; JSONL has {id, text, speech_s?}.",
)
@LANGUAGE
@click.pass_context
def lint(ctx: click.Context, /, paths: tuple[str, ...], ruleset: str, **options: Any) -> None:
    """Check transcripts against the rules.

    A folder stands for the .txt, .jsonl and .ndjson files in it; no path, or -, for standard input.
    Every breach is shown with its place and what to do. A safe fix never changes a
    spoken word; an utterance with an open question is left exactly as it is.
    """
    orth = _ruleset(ruleset).with_rules(_codes(options["select"]), _codes(options["ignore"]))
    codes: Counter[str] = Counter()
    status = 0
    for path in files.expanded(paths or (files.STDIN,)):
        try:
            linter = _run(path, orth, options)
        except (files.FileUnreadable, files.FileUnwritable) as error:
            if len(paths) == 1:
                raise
            click.echo(f"{error.code}: {error}", err=True)
            status = 2
            continue
        codes += linter.codes
        status = max(status, linter.status())
    if options["statistics"]:
        from transcribe import report

        counted = report.statistics(codes, options["language"])
        click.echo(counted, err=options["style"] == "json" or (options["fix"] and "-" in (paths or "-")))
    ctx.exit(status)


def _run(path: str, orth: Orthography, options: dict[str, Any]) -> _Linter:
    """Lint one file."""
    linter = _Linter(path, orth, options)
    jsonl = {"text": False, "jsonl": True}.get(options["kind"])
    if jsonl is None and path.endswith(lines.JSONL_SUFFIXES):
        jsonl = True
    with files.opened(path) as stream:
        if linter.fix and path != files.STDIN:
            with files.replacing(path) as replacement:
                for line in lines.read(stream, jsonl=jsonl):
                    replacement.write(linter.line(line))
                replacement.wanted = bool(linter.changed)
        else:
            for line in lines.read(stream, jsonl=jsonl):
                raw = linter.line(line)
                if linter.report_to_stderr:
                    sys.stdout.buffer.write(raw)
                    sys.stdout.buffer.flush()
            sys.stdout.flush()
    if not linter.utterances and path != files.STDIN:  # a filter may rightly pass nothing on
        linter.unread(lines.Line(1, b"", None), lines.TranscriptEmpty())
    if linter.style == "text" and sys.stderr.isatty():
        click.echo(linter.summary(), err=True)
    return linter


@click.command(epilog="Example:  xiangyin rules P011 --lang zh-Hant")
@click.argument("code", required=False)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@LANGUAGE
def rules(code: str | None, style: str, language: Language) -> None:
    """Show the rules, or one rule's page with examples.

    CODE is a rule (P011) or a family (P).
    """
    from transcribe import pages, report

    wanted = (code or "").upper()
    codes = [each for each in engine.catalogue() if each.startswith(wanted)]
    if not codes:
        raise pages.RuleUnknown(rule=code)
    for each in codes:
        page = pages.page(each, language)
        if style == "json":
            click.echo(report.as_json(page.as_json()))
        elif each == wanted:
            click.echo(pages.as_text(page, language))
        else:
            click.echo(f"{page.code}  {page.title}")


@click.command(epilog="Example:  xiangyin agreement first.jsonl second.jsonl --ruleset nan-Latn")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@RULESET
@click.option("--each", is_flag=True, help="A line for every utterance, too.")
@click.option("--fold-fillers", "fillers", is_flag=True, help="Count all fillers of the ruleset as one word.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def agreement(first: str, second: str, ruleset: str, each: bool, fillers: bool, style: str) -> None:
    """Compare two transcript files; A is the reference.

    Utterances are paired by id in JSONL and by line in text. Rates are counted on folded
    tokens, so that spelling variants of one syllable, width and case are no errors.
    """
    from transcribe import comparison, report

    orth = _ruleset(ruleset)
    compared = comparison.compare(
        _utterances(first), _utterances(second), orth, (first, second), fillers=fillers
    )
    for row in compared.rows if each else ():
        click.echo(report.as_json(row.as_json()) if style == "json" else row.as_text())
    click.echo(report.as_json(compared.as_json()) if style == "json" else compared.as_text())


def _utterances(path: str) -> dict[object, str]:
    """Texts by id; a line that cannot be read ends the comparison."""
    found: dict[object, str] = {}
    with files.opened(path) as stream:
        for line in lines.read(stream, jsonl=True if path.endswith(lines.JSONL_SUFFIXES) else None):
            if line.error is not None:
                raise line.error
            key = line.id if isinstance(line.id, str | int) else line.number
            if key in found:
                from transcribe.comparison import TranscriptsUnpaired

                raise TranscriptsUnpaired(first=path, second=path, problem=f"{key} stands twice")
            found[key] = line.text
    return found
