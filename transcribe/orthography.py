"""A ruleset: what one orthography allows, as data.

The built-in ones stand in ``orthographies/*.toml``. A project extends one by a
file of its own (``extends = "nan-Hant"`` plus words, acronyms, a glossary,
fillers, severities...), without code; see `transcribe.ruleset_file`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache, reduce
from operator import or_
from pathlib import Path
from typing import Any

from protocol.errors import CodedError
from transcribe import characters
from transcribe.characters import FULL_MARKS, HALF_MARKS, Kind

_FOLDER = Path(__file__).parent / "orthographies"
_PHRASE_ENDS = f" {FULL_MARKS}{HALF_MARKS}、；："


class RulesetUnknown(CodedError):
    """No ruleset has that name."""

    code = "RULESET_UNKNOWN"


class RulesetInvalid(CodedError):
    """A project's ruleset file has a mistake."""

    code = "RULESET_INVALID"


@dataclass(frozen=True, eq=False)
class Orthography:
    """One ruleset. Hashes by identity: `load` gives one object a name.

    Attributes
    ----------
    id, version, language : str
        Name, version of the data, and BCP 47 tag.
    title : mapping
        Its name in the three interface languages.
    scripts : frozenset of str
        ``Han``, ``Latin``; a character of any other script is refused (C011).
    variety : str
        ``traditional``, ``simplified`` or ``any``.
    width : str
        ``full`` or ``half``: the width of the four marks, whatever stands beside them.
    boundary : str
        ``one`` or ``none``: spaces between a Han character and a Latin word.
    romanisation : str
        ``none``, ``tailo``, ``poj`` or ``jyutping``.
    zero : bool
        Whether 〇 has one reading and may stand.
    fillers, homophones : the closed list, and how it is miswritten (V007).
    events, missing : tags that are lifted (V001), and tags for speech not written (V002).
    speakers, placeholders : who a label names (V003), and texts that stand for no transcript (V016).
    words : Latin words that need not be syllables (R001).
    acronyms : how acronyms are written (L003).
    glossary : terms that stand as they are: no rule about words or about the variety of Chinese
        script speaks of them (V007, V014, C013, C014, L003), and their Latin words are words.
    spellings : variant: preferred, a warning (C014).
    standard_words : word of the standard language: dialect word (V014).
    hijacked, private_use : old fonts' characters (C015, C006).
    own_characters, other_characters : exceptions to the variety (C013).
    bopomofo : words in Bopomofo that may stand (C011).
    dialect_finals : finals that R014 lets pass.
    severities : code: ``error``, ``warning`` or ``off``.
    """

    id: str
    version: str = "1"
    language: str = "und"
    title: Mapping[str, str] = field(default_factory=dict)
    scripts: frozenset[str] = frozenset({"Han", "Latin"})
    variety: str = "any"
    width: str = "full"
    boundary: str = "one"
    romanisation: str = "none"
    zero: bool = False
    fillers: tuple[str, ...] = ()
    homophones: Mapping[str, str] = field(default_factory=dict)
    events: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    speakers: frozenset[str] = frozenset()
    placeholders: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    acronyms: tuple[str, ...] = ()
    glossary: frozenset[str] = frozenset()
    spellings: Mapping[str, str] = field(default_factory=dict)
    standard_words: Mapping[str, str] = field(default_factory=dict)
    hijacked: Mapping[str, str] = field(default_factory=dict)
    private_use: Mapping[str, str] = field(default_factory=dict)
    own_characters: str = ""
    other_characters: str = ""
    bopomofo: tuple[str, ...] = ()
    dialect_finals: frozenset[str] = frozenset()
    neutral_words: frozenset[str] = frozenset()
    severities: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def marks(self) -> str:
        """Comma, stop, question and exclamation mark of this ruleset."""
        return FULL_MARKS if self.width == "full" else HALF_MARKS

    @property
    def comma(self) -> str:
        """The pause mark."""
        return self.marks[0]

    @property
    def ends(self) -> str:
        """The three marks that can end an utterance, in the order they are offered."""
        return self.marks[1] + self.marks[2] + self.marks[3]

    @cached_property
    def full(self) -> bool:
        """Whether marks are full width: then no space stands beside them."""
        return self.width == "full"

    @cached_property
    def han(self) -> bool:
        """Whether Han characters may stand."""
        return "Han" in self.scripts

    @cached_property
    def hokkien(self) -> bool:
        """Whether Latin words may be Hokkien syllables."""
        return self.romanisation in ("tailo", "poj")

    @cached_property
    def kinds(self) -> Kinds:
        """Character to kinds, filled as characters are met."""
        return Kinds(self)

    @cached_property
    def plans(self) -> dict[int, Any]:
        """The engine's plans by the kinds that occur in a text."""
        return {}

    @cached_property
    def foreign_variety(self) -> Mapping[str, str]:
        """Characters of the other variety of Chinese script, with counterparts."""
        simplified, traditional = characters.varieties()
        table = {"traditional": simplified, "simplified": traditional}.get(self.variety, {})
        extra = dict.fromkeys(self.other_characters, "")
        return {k: v for k, v in {**table, **extra}.items() if k not in self.own_characters}

    @cached_property
    def acronym_spellings(self) -> Mapping[str, str]:
        """Case-folded acronym to how it is written."""
        return {word.casefold(): word for word in self.acronyms}

    @cached_property
    def glossary_pattern(self) -> re.Pattern[str] | None:
        """Finds the glossary's terms, the longest first."""
        return re.compile(any_of(self.glossary)) if self.glossary else None

    def in_glossary(self, text: str, start: int, end: int) -> bool:
        """Whether a piece of a text lies in a term of the glossary."""
        pattern = self.glossary_pattern
        if pattern is None:
            return False
        terms = _spans(pattern, text)
        at = bisect_right(terms, (start, len(text)))
        return at > 0 and end <= terms[at - 1][1]

    @cached_property
    def filler_pattern(self) -> re.Pattern[str]:
        """Finds miswritten fillers: a homophone as a phrase of its own, in Latin text as a word."""
        if not self.homophones:
            return re.compile("(?!)")
        words = any_of(self.homophones)
        if self.han:
            return re.compile(f"(?:^|(?<=[{_PHRASE_ENDS}])){words}(?=[{_PHRASE_ENDS}]|$)")
        return re.compile(f"(?<![\\w'-]){words}(?![\\w'-])", re.IGNORECASE)

    def listed_filler(self, homophone: str) -> str:
        """How the list writes a filler that `filler_pattern` found."""
        right = self.homophones.get(homophone) or self.homophones[homophone.casefold()]
        return right.capitalize() if homophone[0].isupper() else right

    @cached_property
    def wording(self) -> frozenset[str]:
        """First characters of everything in the word lists."""
        lists: Iterable[str] = (*self.homophones, *self.spellings, *self.standard_words)
        firsts = {form[0] for word in lists if word for form in (word, word.upper())}
        return frozenset(firsts)

    def with_rules(self, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> Orthography:
        """Give this ruleset with only the selected and without the ignored codes or families."""
        select, ignore = tuple(select), tuple(ignore)
        if not select and not ignore:
            return self
        from transcribe import lint

        severities = dict(self.severities)
        for code in lint.catalogue():
            chosen = not select or code.startswith(select)
            if not chosen or (ignore and code.startswith(ignore)):
                severities[code] = "off"
        return replace(self, severities=severities)


def any_of(words: Iterable[str]) -> str:
    """A regular expression that finds any of some words, the longest first.

    It looks at a place only if one of the words begins there.
    """
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    firsts = {re.escape(form) for word in longest_first for form in (word[0].lower(), word[0].upper())}
    return f"(?=[{''.join(sorted(firsts))}])(?:{'|'.join(map(re.escape, longest_first))})"


@lru_cache(maxsize=4)
def _spans(pattern: re.Pattern[str], text: str) -> tuple[tuple[int, int], ...]:
    """Where a pattern is found in a text, asked once a text however many pieces are looked at."""
    return tuple(match.span() for match in pattern.finditer(text))


class Kinds(dict[str, int]):
    """Kinds of characters under one ruleset, as integers, filled on demand."""

    def __init__(self, orth: Orthography) -> None:
        super().__init__(dict.fromkeys(orth.marks, Kind.MARK))
        for char in orth.marks:
            self[char] |= characters.SIGNS.get(char, 0) & ~Kind.OTHER_MARK
        self._orth = orth

    def __missing__(self, char: str) -> int:
        orth = self._orth
        kind = characters.base_kind(char)
        if kind & Kind.HAN and not orth.han:
            kind |= Kind.FOREIGN
        if orth.hokkien and char in "ⁿᴺı":
            kind &= ~Kind.LOOK_ALIKE  # the nasal sign, and R016
        if char in orth.foreign_variety:
            kind |= Kind.OTHER_VARIETY
        if char in orth.hijacked:
            kind |= Kind.HIJACKED
        if char in orth.wording:
            kind |= Kind.WORDING
        self[char] = kind
        return kind

    def mask(self, text: str) -> int:
        """All kinds that occur in `text`."""
        return reduce(or_, map(self.__getitem__, set(text)), Kind.ALWAYS)


def names() -> tuple[str, ...]:
    """Names of the built-in rulesets."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("[!_]*.toml")))


@cache
def load(ruleset_id: str) -> Orthography:
    """The built-in ruleset of that name, always the same object.

    Raises
    ------
    RulesetUnknown
        Which lists the names there are.
    """
    from transcribe import ruleset_file

    known = names()
    if ruleset_id not in (*known, "_common", "_han"):
        raise RulesetUnknown(ruleset=ruleset_id, known=", ".join(known))

    return ruleset_file.parse(
        (_FOLDER / f"{ruleset_id}.toml").read_text(encoding="utf-8"), f"{ruleset_id}.toml"
    )


def parse(text: str, source: str) -> Orthography:
    """Build a ruleset from TOML; see `transcribe.ruleset_file.parse`."""
    from transcribe import ruleset_file

    return ruleset_file.parse(text, source)


def read(path: Path) -> Orthography:
    """A project's ruleset from its file; see `transcribe.ruleset_file.read`."""
    from transcribe import ruleset_file

    return ruleset_file.read(path)
