"""Whole texts from one romanisation into the other, and between tone marks and tone numbers."""

from __future__ import annotations

import re
from typing import Literal, get_args

from transcribe.tailo.typed import MAX_SYLLABLE, Reading, read

Romanisation = Literal["tailo", "poj"]
Tones = Literal["marks", "numbers"]

_LETTER = "A-Za-z\u00c0-\u024f\u0300-\u036f\u1e00-\u1effⁿᴺ"
_DOT = "·•‧∙⋅・･˙"  # typed for the dot of the open o, after which a syllable may go on
_SYLLABLE = re.compile(
    f"(?<![{_LETTER}0-9])[{_LETTER}](?:[{_LETTER}\u02c8]|(?<=[oOóòôǒōőŏÓÒÔǑŌŐŎ\u0300-\u030d])[{_DOT}])*[0-9]?"
    f"(?![{_LETTER}0-9])"
)
_UNCERTAIN = frozenset({"R002", "R013", "R015"})  # impossible, two tones, breve in Tâi-lô


def convert(
    text: str,
    *,
    source: Romanisation = "tailo",
    target: Romanisation = "tailo",
    tones: Tones = "marks",
) -> str:
    """Rewrite every Hokkien syllable of a text; everything else stays as it is.

    Han characters, marks, spaces, hyphens, numbers and words that are no syllable are not touched,
    nor is a syllable whose tone is uncertain: one that cannot exist, has two tone marks, or has
    Pe̍h-ōe-jī's breve in a text that is said to be Tâi-lô. With the defaults, a text takes its
    canonical spelling.

    Parameters
    ----------
    text : str
        Text in either orthography, with marks or numbers, NFC or NFD.
    source : {"tailo", "poj"}
        Which orthography the text is meant to be in. It decides how a spelling of both is read:
        -eng is -ing in POJ, and left alone in Tâi-lô, where it may be a dialect's final.
    target : {"tailo", "poj"}
        Which one to write.
    tones : {"marks", "numbers"}
        How to write the tone. With numbers every syllable has one, tones one and four too, so an
        English word that is also a syllable (``in``) takes one.

    Returns
    -------
    str
        The text, its syllables in NFC. Marks to numbers and back is the identity; so is Tâi-lô to
        POJ and back, but for the dialect's final -eng and for words in capitals that are one letter
        in POJ (``OO``, ``O͘``: read as ``Oo``). A neutral tone written as the number 0 is
        kept only with numbers: as a mark, the two hyphens before the syllable say it.

    Raises
    ------
    ValueError
        If an option is none of its choices.

    Examples
    --------
    >>> convert("Tsiah8-pa2--bue7?")
    'Tsia̍h-pá--buē?'
    >>> convert("Tsia̍h-pá--buē?", tones="numbers")
    'Tsiah8-pa2--bue7?'
    >>> convert("Tâi-uân", target="poj")
    'Tâi-oân'
    >>> convert("Chit ê lâng chin gâu.", source="poj")
    'Tsit ê lâng tsin gâu.'
    >>> convert("伊chhōa我去3樓。")
    '伊tshuā我去3樓。'
    """
    for value, kind in ((source, Romanisation), (target, Romanisation), (tones, Tones)):
        choices = get_args(kind)
        if value not in choices:
            raise ValueError(f"{value!r} is none of {choices}")
    from_poj, to_poj, numbers = source == "poj", target == "poj", tones == "numbers"

    def rewritten(found: re.Match[str]) -> str:
        reading = read(found[0], poj=from_poj) if len(found[0]) <= MAX_SYLLABLE else None
        if reading is None or not _certain(reading) or (not from_poj and _is_eng(found[0], reading)):
            return found[0]
        return reading.written(poj=to_poj, numbers=numbers)

    return _SYLLABLE.sub(rewritten, text)


def _certain(reading: Reading) -> bool:
    return reading.syllable.legal and not reading.notes & _UNCERTAIN and reading.case != "mixed"


def _is_eng(typed: str, reading: Reading) -> bool:
    """Whether -eng was typed in Tâi-lô, where it is POJ's -ing or a dialect's own final."""
    return "R005" in reading.notes and reading.syllable.final == "ing" and "i" not in typed.casefold()
