"""Tâi-lô and Pe̍h-ōe-jī syllables: reading, checking and writing.

A syllable is an onset, a final and a tone. `parse` reads one that is written
as the orthography prescribes; `read` also accepts what people type instead
(tone numbers, POJ letters, a raised n as a capital, a mark on the wrong
letter) and says so, code by code. Both forms are written from the same value,
so whatever was read can be written again without loss.

>>> parse("tshit").numbered()
'tshit4'
>>> read("chhiáⁿ").syllable.marked()
'tshiánn'
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

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
_TONES = {mark: tone for tone, mark in MARKS.items()} | {BREVE: 9}
O_DOTS = frozenset("\u0358\u0307·•‧∙⋅・･˙")
RAISED_N = frozenset("ⁿᴺ")
VERTICAL_LINE = "\u02c8"  # typed for the eighth tone's mark
MAX_SYLLABLE = 16  # code points when decomposed; the longest real one has 9


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


@dataclass(frozen=True, slots=True)
class Reading:
    """A syllable as somebody typed it.

    Attributes
    ----------
    syllable : Syllable
        What was meant.
    notes : frozenset of str
        Codes of the rules that the spelling breaks; empty for a syllable
        written as Tâi-lô prescribes.
    case : str
        ``lower``, ``capital``, ``upper`` or ``mixed``.
    poj : bool
        Whether the letters are Pe̍h-ōe-jī and not also Tâi-lô.
    """

    syllable: Syllable
    notes: frozenset[str]
    case: str
    poj: bool = False

    def written(self, *, poj: bool = False) -> str:
        """The canonical spelling in the case that was typed."""
        text = self.syllable.poj() if poj else self.syllable.marked()
        if self.case == "upper":
            return "".join(c if c in RAISED_N else c.upper() for c in text)
        return text[:1].upper() + text[1:] if self.case in ("capital", "mixed") else text


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


@lru_cache(maxsize=65536)
def parse(text: str) -> Syllable | None:
    """The syllable that `text` spells exactly as Tâi-lô prescribes, or None.

    Parameters
    ----------
    text : str
        One syllable with its tone mark, in NFC; upper or lower case.
    """
    reading = read(text)
    if reading is None or reading.notes or not reading.syllable.legal:
        return None
    return reading.syllable


@lru_cache(maxsize=65536)
def read(text: str, *, poj: bool = False, eng: bool = False) -> Reading | None:
    """Read one syllable in any of the spellings that people type.

    Parameters
    ----------
    text : str
        One syllable: letters, marks, a raised n, a tone number; no hyphen.
    poj : bool
        Whether Pe̍h-ōe-jī is the orthography asked for: then its letters are
        right, and Tâi-lô's are the foreign ones.
    eng : bool
        Whether -eng is the final of a dialect that is written, rather than POJ for -ing.

    Returns
    -------
    Reading or None
        None if no syllable of the inventory can be meant. The notes are codes of the
        rules: R003 mark on the wrong letter, R004 tone number, R005 other
        orthography, R006 nasal sign, R007 o-dot, R008 eighth-tone sign, R011
        capital inside, R013 two tones, R015 breve, R016 dotless i, and R002 if the
        parts cannot stand together.
    """
    if not text or len(text) > MAX_SYLLABLE:
        return None
    notes: set[str] = set()
    letters: list[str] = []
    typed: list[str] = []  # as typed, for the case
    tones: list[int] = []
    marked = -1
    dotted = raised = doubled_n = False
    decomposed = unicodedata.normalize("NFD", text)
    for n, char in enumerate(decomposed):
        if char in _TONES:
            if not letters:
                return None
            if char == BREVE and not poj:
                notes.add("R015")
            if char == "\u030b" and poj:
                notes.add("R005")
            tones.append(_TONES[char])
            marked = len(letters)
        elif char in O_DOTS:
            if not letters or letters[-1] != "o":
                return None
            letters.append("o")
            dotted = True
            if char != "\u0358" or not poj:
                notes.add("R007")
        elif char in RAISED_N or (char == "N" and _capital_n_is_nasal(decomposed, n, typed)):
            letters += "nn"
            raised = True
            if char != "ⁿ" or not poj:
                notes.add("R006")
        elif char == VERTICAL_LINE:
            tones.append(8)
            marked = len(letters)
            notes.add("R008")
        elif char == "\u0131":
            letters.append("i")
            typed.append("i")
            notes.add("R016")
        elif char in "0123456789" and n == len(decomposed) - 1 and letters:
            notes.add("R013" if tones else "R004")
            tones.append(int(char))
        elif "a" <= char.lower() <= "z" and len(char.lower()) == 1:
            letters.append(char.lower())
            typed.append(char)
        else:
            return None
    spelled = "".join(letters)
    if spelled.endswith("hnn") and raised:  # POJ writes the sign last
        spelled = spelled[:-3] + "nnh"
    doubled_n = "nn" in spelled[1:] and not raised  # nng begins with n and ends in ng
    found = _split(spelled, poj=poj, doubled_n=doubled_n, dotted=dotted, eng=eng)
    if found is None:
        return None
    onset, final, foreign = found
    if foreign:
        notes.add("R005")
    if len(tones) > 1:
        notes.add("R013")
    stopped = final[-1] in "ptkh"
    tone = tones[0] if tones else (4 if stopped else 1)
    syllable = Syllable(onset, final, tone)
    if not syllable.legal:
        notes.add("R002")
    if marked >= 0 and not foreign and not poj and not dotted and marked != len(onset) + mark_position(final):
        notes.add("R003")
    reading = Reading(syllable, frozenset(), _case("".join(typed)), poj=bool(foreign) != poj)
    unusual = unicodedata.normalize("NFC", text).casefold() != syllable.poj().casefold()
    if poj and not foreign and marked >= 0 and not notes and unusual:
        notes.add("R003")
    if reading.case == "mixed":
        notes.add("R011")
    return Reading(syllable, frozenset(notes), reading.case, reading.poj)


def _capital_n_is_nasal(decomposed: str, at: int, typed: list[str]) -> bool:
    """Whether an N is typed for the raised n: after a small letter, at the end or before h."""
    if at == 0 or decomposed[at + 1 : at + 2] not in ("", "h", "H", *"0123456789"):
        return False
    return bool(typed) and typed[-1].islower()


def _split(
    spelled: str, *, poj: bool, doubled_n: bool, dotted: bool, eng: bool
) -> tuple[str, str, bool] | None:
    """Onset and final in Tâi-lô letters, and whether the letters were the other orthography's."""
    tailo = _onset_and_final(spelled, ONSETS, FINALS)
    from_poj = _from_poj(spelled)
    if not poj:
        if tailo is not None and (eng or tailo[1] != "eng"):
            return (*tailo, False)
        if from_poj is not None:
            return (*from_poj, True)
        return None
    tailo_letters = spelled.startswith("ts") or doubled_n or ("oo" in spelled and not dotted)
    if from_poj is not None and not tailo_letters:
        return (*from_poj, False)
    both = tailo or from_poj
    return (*both, True) if both is not None else None


_POJ_ONSETS = {**{onset: onset for onset in ONSETS if onset[:2] != "ts"}, "ch": "ts", "chh": "tsh"}
_POJ_FINALS: dict[str, str] = {}
for _final in sorted(FINALS - {"eng", "ing", "ik"}):
    _POJ_FINALS[_final.replace("ua", "oa").replace("ue", "oe")] = _final
_POJ_FINALS |= {"eng": "ing", "ek": "ik", "oonn": "onn", "oonnh": "onnh", "ou": "oo"}


@lru_cache(maxsize=65536)
def _from_poj(spelled: str) -> tuple[str, str] | None:
    """Onset and final in Tâi-lô letters of a syllable in POJ letters (nn for the raised n)."""
    for length in (3, 2, 1, 0):
        onset, final = spelled[:length], spelled[length:]
        if len(onset) == length and onset in _POJ_ONSETS and final in _POJ_FINALS:
            return _POJ_ONSETS[onset], _POJ_FINALS[final]
    # ch or chh with a Tâi-lô final, as people mix them
    for length in (3, 2):
        onset, final = spelled[:length], spelled[length:]
        if onset in ("ch", "chh") and final in FINALS:
            return _POJ_ONSETS[onset], final
    # a Tâi-lô onset ts or tsh with a POJ final
    for length in (3, 2):
        onset, final = spelled[:length], spelled[length:]
        if onset in ("ts", "tsh") and final in _POJ_FINALS:
            return onset, _POJ_FINALS[final]
    return None


def _onset_and_final(spelled: str, onsets: frozenset[str], finals: frozenset[str]) -> tuple[str, str] | None:
    """The split of a syllable: the longest onset that leaves a final."""
    for length in (3, 2, 1, 0):
        if spelled[:length] in onsets and len(spelled) > length and spelled[length:] in finals:
            return spelled[:length], spelled[length:]
    return None


def _case(letters: str) -> str:
    if letters.islower() or not letters:
        return "lower"
    if len(letters) > 1 and letters.isupper():
        return "upper"
    if letters[0].isupper() and (len(letters) == 1 or letters[1:].islower()):
        return "capital"
    return "mixed"
