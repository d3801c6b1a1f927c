"""C010-C015, C017, C019: characters that this orthography does not write."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy

_MARKUP = Lazy(
    r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"
    r"|&(?:#[0-9]{2,7}|#[xX][0-9a-fA-F]{2,6}|(?:nbsp|amp|lt|gt|quot|apos)(?![A-Za-z]))"
    r"|<[/!?]?[A-Za-z][^<>]{0,200}>"
    r"|<!--[^<>]{0,200}-->"
    r"|\{\\[A-Za-z][^{}]{0,80}\}"
    r"|\\(?:[nrtbfav0\\](?![A-Za-z])|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N(?![A-Za-z]))"
    r"|%[0-9A-F]{2}(?:%[0-9A-F]{2})+"
    r"|(?<![0-9])%(?:20|0[9AD]|2[1-9A-F]|3[A-F])(?![0-9])"
)
_BOPOMOFO = Lazy("[\u02ca\u02c7\u02cb\u02d9\u02ea\u02eb\u3105-\u312f\u31a0-\u31bf]")
_LATIN_TWINS = {"ɑ": "a", "ɡ": "g", "ı": "i", "ɩ": "i", "ⅼ": "l", "ʟ": "l", "ǃ": "!", "ǀ": "l", "Ⅰ": "I"}
_MANY_MARKS = 4  # on one letter: more is decoration


@rule("C010", stage=Stage.SCRIPTS, on=Kind.LOOK_ALIKE, fix="mixed")
def look_alike(text: str, orth: Orthography) -> Iterable[Hit]:
    """A character that only looks like the right one.

    Why: a radical or a letter of another alphabet reads well on the screen and is another
    character in the file. A Kangxi radical has exactly one character and is replaced; anything
    else must be confirmed.
    Bad: ``等我ㄧ下。`` (Bopomofo)
    Good: ``等我一下。``
    """
    kinds = orth.kinds
    for at, char in enumerate(text):
        if not kinds[char] & Kind.LOOK_ALIKE:
            continue
        if _in_bopomofo(text, at):
            continue  # C011
        plain = unicodedata.normalize("NFKC", char)
        if "\u2f00" <= char <= "\u2fd5" and characters.is_han(plain):
            yield mend(at, at + 1, plain)
        elif char in characters.IDENTICAL_TO_HAN:
            yield ask(at, at + 1, characters.IDENTICAL_TO_HAN[char], *([""] if char == "丶" else []))
        elif char in _LATIN_TWINS or plain != char:
            yield ask(at, at + 1, _LATIN_TWINS.get(char, plain))
        else:
            yield Hit(at, at + 1)


@rule("C011", stage=Stage.SCRIPTS, on=Kind.FOREIGN, fix="ask")
def foreign_script(text: str, orth: Orthography) -> Iterable[Hit]:
    """Only the scripts of the ruleset.

    Why: what was said must be written so that one orthography can read it. A Cyrillic letter
    that looks like a Latin one makes a word that no dictionary has.
    Bad: ``他超ㄍㄧㄥ的。``
    Good: ``他超矜的。``
    """
    allowed = _allowed_spans(text, orth)
    start = -1
    for at in range(len(text) + 1):
        foreign = at < len(text) and at not in allowed and _is_foreign(text, at, orth)
        if foreign and start < 0:
            start = at
        elif not foreign and start >= 0:
            found = text[start:at]
            yield ask(start, at, *_in_latin(found))
            start = -1


def _is_foreign(text: str, at: int, orth: Orthography) -> bool:
    char = text[at]
    if not orth.kinds[char] & Kind.FOREIGN:
        return False
    if char == "ㄧ" and not _in_bopomofo(text, at):
        return False  # C010 says it better
    return not (orth.hokkien and char in "ˈ˙")


def _in_bopomofo(text: str, at: int) -> bool:
    """Whether a character is Bopomofo beside other Bopomofo, and so no slip for a Han character."""
    if not _BOPOMOFO.match(text, at):
        return False
    return bool((at and _BOPOMOFO.match(text, at - 1)) or _BOPOMOFO.match(text, at + 1))


def _allowed_spans(text: str, orth: Orthography) -> frozenset[int]:
    """Places of Bopomofo words that the project lists."""
    if not orth.bopomofo:
        return frozenset()
    listed = re.compile("|".join(map(re.escape, sorted(orth.bopomofo, key=len, reverse=True))))
    return frozenset(n for match in listed.finditer(text) for n in range(*match.span()))


_TWINS = dict(
    zip("аеорсухіјѕАВЕКМНОРСТУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "aeopcyxijsABEKMHOPCTYXABEZHIKMNOPTYXo", strict=True)
)


def _in_latin(found: str) -> tuple[str, ...]:
    if all(char in _TWINS for char in found):
        return ("".join(_TWINS[char] for char in found),)
    return ()


_EMOJI_JOINERS = "\ufe0f\u200d\u20e3"


@rule("C012", stage=Stage.CODE_POINTS, on=Kind.EMOJI, fix="ask")
def emoji(text: str, orth: Orthography) -> Iterable[Hit]:
    """No emoji.

    Why: it may stand for a word that was said; if it does not, it says nothing.
    Bad: ``好啊👍。``
    Good: ``好啊，讚。``
    """
    kinds = orth.kinds
    at = 0
    while at < len(text):
        if not kinds[text[at]] & Kind.EMOJI:
            at += 1
            continue
        start = at
        while at < len(text) and (kinds[text[at]] & Kind.EMOJI or text[at] in _EMOJI_JOINERS):
            at += 1
        yield ask(start, at, "")


@rule("C013", stage=Stage.SCRIPTS, on=Kind.OTHER_VARIETY, fix="ask")
def other_chinese_script(text: str, orth: Orthography) -> Iterable[Hit]:
    """Traditional or Simplified, as the ruleset says; never converted automatically.

    Why: one simplified character may stand for several traditional ones, and a dialect's own
    character may look simplified.
    Bad: ``我们走吧。`` (zh-Hant)
    Good: ``我們走吧。``
    """
    for at, char in enumerate(text):
        counterparts = orth.foreign_variety.get(char)
        if counterparts is not None and not orth.in_glossary(text, at, at + 1):
            yield ask(at, at + 1, *(() if orth.hokkien else counterparts))


@rule("C015", stage=Stage.SCRIPTS, on=Kind.HIJACKED, fix="ask")
def hijacked_code_point(text: str, orth: Orthography) -> Iterable[Hit]:
    """A code point that an old font drew as another character.

    Why: it was right in that font and is a different character everywhere else.
    Bad: ``伊鍂起去矣。``
    Good: ``伊𬦰起去矣。``
    """
    for at, char in enumerate(text):
        if char in orth.hijacked:
            yield ask(at, at + 1, orth.hijacked[char])


@rule("C017", stage=Stage.EVENTS, on=Kind.SYMBOL | Kind.ANGLE | Kind.BRACKET | Kind.PERCENT, fix="ask")
def markup(text: str, orth: Orthography) -> Iterable[Hit]:
    """No entities, tags or escape sequences.

    Why: they are left over from a web page or a program; what they stood for must be checked,
    and speech between two tags must not be lost.
    Bad: ``我&nbsp;知道。``
    Good: ``我知道。``
    """
    for match in _MARKUP.finditer(text):
        found = match[0]
        if found[0] == "<" and texts.label_of(found[1:-1]) in orth.missing:
            continue  # V002
        if found[0] == "<" and texts.is_lifted(found, text, orth):
            continue  # V001
        if found[0] == "&":
            import html

            plain = html.unescape(found)
            yield ask(*match.span(), *([""] if plain.isspace() else [plain] if plain != found else []))
        else:
            yield ask(*match.span(), "")


@cache
def _marks() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Marks of no particular script, in runs, and one that is not among few on a Latin letter.

    Those of a script are foreign to begin with (C011).
    """
    shared = texts.class_of(
        lambda category, script: category[0] == "M" and script in ("Inherited", "Common"),
        skip=texts.NO_MARKS,
    )
    low = "\u0300-\u034e\u0350-\u036f"  # those that stand on Latin letters
    odd = f"[{shared}](?:(?<![{texts.LETTERS}][{low}])|[{shared}]{{3}})"
    return re.compile(f"[{shared}]+"), re.compile(odd)


@rule("C019", stage=Stage.SCRIPTS, on=Kind.COMBINING, fix="none")
def mark_without_letter(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""A combining mark stands on a Latin letter, and at most three on one.

    Why: on a Han character or on nothing it is a slip of the keyboard, and it may belong to the
    syllable before or after.
    Bad: ``我\u0301知道。``
    Good: ``我知道。``
    """
    kinds = orth.kinds
    runs, odd = _marks()
    for match in runs.finditer(text) if odd.search(text) else ():
        start, end = match.span()
        on_letter = start > 0 and kinds[text[start - 1]] & Kind.LATIN
        if not on_letter or end - start >= _MANY_MARKS or max(match[0]) > "\u036f":
            yield Hit(start, end)
