"""R030-R032: Cantonese in Jyutping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, PerWord, words

ONSETS = words("b p m f d t n l g k h w z c s j ng gw kw") | {""}
FINALS = words(
    """
    aa aai aau aam aan aang aap aat aak a ai au am an ang ap at ak e ei eu em en eng ep et ek
    i iu im in ing ip it ik o oi ou om on ong op ot ok u ui um un ung up ut uk
    eoi eon eot oe oeng oet oek yu yun yut m ng
    """
)
SYLLABLES = frozenset(
    onset + final for onset in ONSETS for final in FINALS if final not in ("m", "ng") or onset in ("", "h")
)
_TOKEN = Lazy(f"[{texts.LETTERS}]+[0-9]*")
_TONE_FORMS = Lazy("(?<=[A-Za-z])[¹²³⁴⁵⁶１-６](?![A-Za-z0-9])")
_PLAIN = dict(zip("¹²³⁴⁵⁶１２３４５６", "123456123456", strict=True))


def jyutping(orth: Orthography) -> bool:
    """Whether the ruleset's words are Jyutping."""
    return orth.romanisation == "jyutping"


def is_syllable(text: str) -> bool:
    """Whether a text is one Jyutping syllable with its tone number."""
    return text[-1:] in tuple("123456") and text[:-1].casefold() in SYLLABLES


def tone_places(text: str) -> frozenset[int]:
    """Places of digits that are the tone of a valid syllable."""
    places = set()
    for match in _TOKEN.finditer(text):
        for piece in re.finditer("[A-Za-z]+[0-9]", match[0]):
            if (
                is_syllable(piece[0])
                and not text[match.start() + piece.end() : match.start() + piece.end() + 1].isdigit()
            ):
                places.add(match.start() + piece.end() - 1)
    return frozenset(places)


def _has_number(word: str) -> bool:
    tones = tone_places(word)
    return any(
        (char.isdigit() and at not in tones) or char in characters.NUMBER_WORDS
        for at, char in enumerate(word)
    )


_HAS_NUMBER = PerWord(_has_number)


def words_with_numbers(text: str) -> Iterator[tuple[int, str]]:
    """Words in which something is a number and no tone, with their places."""
    at = 0
    for word in text.split(" "):
        if _HAS_NUMBER[word]:
            yield at, word
        at += len(word) + 1


@lru_cache(maxsize=4)
def only_tones(text: str, orth: Orthography) -> bool:
    """Whether every digit of a Jyutping text is the tone of a valid syllable: then it has no number."""
    return orth.romanisation == "jyutping" and not any(map(_HAS_NUMBER.__getitem__, text.split(" ")))


_NO_NOTES: frozenset[str] = frozenset()


@lru_cache(maxsize=32)
def _notes_by_word(orth: Orthography) -> PerWord[frozenset[str]]:
    def notes(word: str) -> frozenset[str]:
        found = {"R030": not_jyutping(word, orth), "R031": no_tone(word, orth)}
        return frozenset(code for code, hits in found.items() if any(True for _ in hits))

    return PerWord(notes)


def _notes_of(text: str, orth: Orthography) -> frozenset[str]:
    """Codes of the rules that have something to say about a text's syllables."""
    found = _NO_NOTES
    for notes in map(_notes_by_word(orth).__getitem__, text.split(" ")):
        if notes:
            found |= notes
    return found


@rule("R030", stage=Stage.SYLLABLES, on=Kind.LATIN, fix="ask", applies=jyutping, gate=_notes_of)
def not_jyutping(text: str, orth: Orthography) -> Iterable[Hit]:
    """Every syllable is in the Jyutping inventory, or the word is on the project's list.

    Why: other romanisations of Cantonese use the same letters for other sounds.
    Bad: ``chi6 gou2``
    Good: ``ci4 gou1``
    """
    for match in _TOKEN.finditer(text):
        word = match[0]
        bare = word.rstrip("0123456789")
        if word not in orth.words and bare.casefold() not in SYLLABLES and bare.casefold() not in orth.words:
            yield Hit(*match.span())


@rule("R031", stage=Stage.SYLLABLES, on=Kind.LATIN, fix="ask", applies=jyutping, gate=_notes_of)
def no_tone(text: str, orth: Orthography) -> Iterable[Hit]:
    """Every syllable has its tone number, 1 to 6.

    Why: the tone is part of the word.
    Bad: ``nei hou``
    Good: ``nei5 hou2``
    """
    for match in _TOKEN.finditer(text):
        word = match[0]
        bare = word.rstrip("0123456789")
        known = bare.casefold() in SYLLABLES and word not in orth.words
        if known and not is_syllable(word):
            yield ask(*match.span(), *(bare + tone for tone in "123"))


@rule("R032", stage=Stage.CODE_POINTS, on=Kind.OTHER_NUMBER | Kind.WIDE_DIGIT, fix="safe", applies=jyutping)
def tone_form(text: str, orth: Orthography) -> Iterable[Hit]:
    """Tone numbers are ordinary digits.

    Why: a raised or full-width digit is the same tone in another form.
    Bad: ``nei⁵``
    Good: ``nei5``
    """
    for match in _TONE_FORMS.finditer(text):
        yield mend(*match.span(), _PLAIN[match[0]])
