"""Pieces of text: letter classes, safe normalisation, the spoken string, scoring tokens."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from transcribe import characters, orthography, tailo, unicode_table
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy

# Latin letters of ordinary alphabets and the marks that stand on them, as a regular expression class.
LETTERS = (
    "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0180-\u01bf"
    "\u01cd-\u01f0\u01f4-\u024f\u1e00-\u1eff\u0300-\u034e\u0350-\u036f"
)
WORD = LETTERS + "ⁿᴺ"  # what a romanised syllable is typed with
DIGITS = "0-9０-９"
NO_MARKS = (
    "\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef"  # a joiner and variation selectors; Unicode calls them so
)
MAX_MARKS = 30  # Unicode's Stream-Safe limit (UAX 15); longer runs are normalised piece by piece


@cache
def han_class() -> str:
    """Every ideograph of the vendored table, as a regular expression class."""
    return class_of(lambda category, script: script == "Han" and category == "Lo") + "〇"


@cache
def mark_class() -> str:
    """Every combining mark of the vendored table, but no variation selector."""
    return class_of(lambda category, _: category[0] == "M", skip=NO_MARKS)


def class_of(wanted: unicode_table.Wanted, skip: str = "") -> str:
    """A regular expression class of all code points whose category and script are wanted."""
    skipped = re.compile(f"[{skip}]") if skip else None
    parts = []
    for start, end in unicode_table.runs(wanted):
        if skipped and skipped.match(chr(start)):
            continue
        parts.append(
            f"{re.escape(chr(start))}-{re.escape(chr(end))}" if end > start else re.escape(chr(start))
        )
    return "".join(parts)


@cache
def _mark_runs() -> re.Pattern[str]:
    return re.compile(f"[{mark_class()}]{{{MAX_MARKS + 1},}}")


def nfc(text: str) -> str:
    """NFC in linear time.

    The standard algorithm sorts each run of combining marks by insertion, so that a
    hostile run costs its square. Runs beyond the Stream-Safe limit are cut.
    """
    if text.isascii() or not _mark_runs().search(text):
        return unicodedata.normalize("NFC", text)
    pieces = []
    for n in range(0, len(text), MAX_MARKS):
        pieces.append(unicodedata.normalize("NFC", text[n : n + MAX_MARKS]))
    return "".join(pieces)


# -- the spoken string -------------------------------------------------------------------------

_TAG = Lazy(r"[\[<{]([^\[\]<>{}]{1,40})[\]>}]")
_CLOSING = Lazy(r"</([^<>]{1,40})>")
_DROPPED = dict.fromkeys(
    map(ord, characters.INVISIBLE + characters.BIDI + characters.BIDI_OVERRIDES + "\u180b\u180c\u180d\u180f")
)
_DROPPED |= dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
_APOSTROPHE = Lazy(f"(?<=[{LETTERS}])[{characters.APOSTROPHES}'](?=[{LETTERS}])")
_SYLLABLE = Lazy(f"[{WORD}][{WORD}·•‧∙⋅・･˙ˈ]*[0-9]?(?![{WORD}0-9])")
_TONED = Lazy("(?<=[A-Za-z])[¹²³⁴⁵⁶１-６](?![A-Za-z0-9])")
_TONES = dict(zip("¹²³⁴⁵⁶１２３４５６", "123456123456", strict=True))


def label_of(tag: str) -> str:
    """A tag's content as the lists of events write it."""
    return tag.strip().strip("/").strip().casefold().replace("_", " ").replace("-", " ")


def is_lifted(tag: str, text: str, orth: Orthography) -> bool:
    """Whether a bracketed piece is a known event tag, and not half of a pair around speech."""
    content = tag[1:-1].strip()
    if tag[0] not in "[<{" or not content or content[0] == "/" or label_of(content) not in orth.events:
        return False
    return tag[0] != "<" or content not in _closed(text)


@lru_cache(maxsize=4)
def _closed(text: str) -> frozenset[str]:
    """Names of the tags that a text closes; found once a text, not once a tag."""
    return frozenset(match[1].strip() for match in _CLOSING.finditer(text)) if "</" in text else frozenset()


def _without_tags(text: str, orth: Orthography) -> str:
    """The text with a space in place of every known event tag."""
    if "[" not in text and "<" not in text and "{" not in text:
        return text
    return _TAG.sub(lambda tag: " " if is_lifted(tag[0], text, orth) else tag[0], text)


def spoken(text: str, ruleset: str | Orthography) -> str:
    """What a text says, without how it is written: the string that no fix may change.

    Event tags, format characters and variation selectors go; old fonts' private codes,
    radicals, full-width letters and ligatures are folded; in Hokkien every syllable takes its
    canonical form; letters, marks and numbers remain, without case.
    """
    orth = orthography.load(ruleset) if isinstance(ruleset, str) else ruleset
    return "".join(_said(text, orth).split())


def _said(text: str, orth: Orthography) -> str:
    """The spoken string with its word boundaries left as spaces."""
    text = _without_tags(text, orth)
    if not text.isascii():
        text = text.translate(_DROPPED)
        for old, new in orth.private_use.items():
            text = text.replace(old, new)
        text = nfc(_folded(text))
    if "'" in text or not text.isascii():
        text = _APOSTROPHE.sub("", text)
    if orth.romanisation == "jyutping":
        text = _TONED.sub(lambda tone: _TONES[tone[0]], text)
    if orth.hokkien:
        text = _SYLLABLE.sub(lambda token: _canonical(token[0], orth), text)
    return text.translate(_KEPT).casefold()


_FOLDABLE = re.compile("[\uff21-\uff5a\u2f00-\u2fd5\ufb00-\ufb06]")


def _folded(text: str) -> str:
    """Radicals, full-width letters and ligatures, code point by code point."""
    return _FOLDABLE.sub(lambda char: unicodedata.normalize("NFKC", char[0]), text)


@lru_cache(maxsize=65536)
def _canonical(token: str, orth: Orthography) -> str:
    """A token's canonical syllable, if it is one."""
    reading = tailo.read(token, poj=orth.romanisation == "poj")
    if reading is None or not reading.syllable.legal or "R013" in reading.notes:
        return token
    return reading.syllable.marked()


class _Kept(dict[int, str]):
    """Letters, marks and numbers by code point; apostrophes join, everything else separates."""

    def __missing__(self, point: int) -> str:
        char, kept = chr(point), " "
        if char.isalnum() or char == "\u0131" or unicode_table.properties(char).category[0] in "LMN":
            kept = char
        elif char in characters.SINGLE_QUOTES:
            kept = ""
        if len(self) < _MOST_KEPT:
            self[point] = kept
        return kept


_MOST_KEPT = 65536  # as many as anybody's texts have; beyond it each is looked up again
_KEPT = _Kept()


# -- scoring tokens ----------------------------------------------------------------------------


@cache
def _tokens() -> re.Pattern[str]:
    return re.compile(f"[{han_class()}]|[{WORD}0-9]+|[^\\s]")


FILLER = "<filler>"


def fold(text: str, ruleset: str | Orthography, *, fillers: bool = False) -> list[str]:
    """Tokens for scoring: one per Han character, romanised syllable or other word.

    Marks, spaces, case, hyphens and spelling variants of one syllable do not count, so
    the same Tâi-lô sentence in NFC and NFD, or with tone numbers, has the same tokens.

    Parameters
    ----------
    text : str
        One utterance.
    ruleset : str or Orthography
        Name of a built-in ruleset, or one that was loaded.
    fillers : bool
        Whether all the ruleset's fillers count as one word, and their homophones with them:
        who hears an 嗯 where another hears a 呃 has heard the same hesitation.

    Returns
    -------
    list of str
        Hokkien syllables carry their tone as a number (``tai5``).
    """
    orth = orthography.load(ruleset) if isinstance(ruleset, str) else ruleset
    if fillers and orth.homophones:
        text = nfc(text)
        text = orth.filler_pattern.sub(lambda own: orth.listed_filler(own[0]), text)
    tokens = [_scored(token, orth) for token in _tokens().findall(_said(text, orth))]
    return _with_one_filler(tokens, orth) if fillers else tokens


def _with_one_filler(tokens: list[str], orth: Orthography) -> list[str]:
    """Tokens with every filler replaced by one and the same; some have two tokens, such as 伊讲."""
    listed = _filler_tokens(orth)
    longest = max(map(len, listed), default=0)
    found: list[str] = []
    at = 0
    while at < len(tokens):
        size = next((n for n in range(longest, 0, -1) if tuple(tokens[at : at + n]) in listed), 0)
        found.append(FILLER if size else tokens[at])
        at += size or 1
    return found


@lru_cache(maxsize=32)
def _filler_tokens(orth: Orthography) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(fold(filler, orth)) for filler in orth.fillers)


@lru_cache(maxsize=65536)
def _scored(token: str, orth: Orthography) -> str:
    if not orth.hokkien or (orth.han and token.isascii()):
        return token
    syllable = tailo.parse(token)
    return syllable.numbered() if syllable is not None else token


_VOWELS = Lazy("[aeiouyàáâãäåèéêëìíîïòóôõöùúûüýāēīōūǎěǐǒǔ]+", re.IGNORECASE)


@cache
def _countable() -> re.Pattern[str]:
    return re.compile(f"[{han_class()}]|[{LETTERS}ⁿᴺ']+")


def syllables(text: str, orth: Orthography) -> int:
    """How many syllables a text has: Han characters, romanised syllables, vowel groups.

    Capitals without a vowel (KTV) are said letter by letter; known event tags are not said.
    """
    count = 0
    for token in _countable().findall(_without_tags(text, orth)):
        if len(token) == 1 or orth.romanisation != "none":
            count += 1
            continue
        groups = len(_VOWELS.findall(token))
        count += groups or (len(token) if token.isupper() else 1)
    return count
