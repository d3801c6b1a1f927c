"""Reading a syllable in any of the spellings that people type, and saying what is unusual about it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from transcribe.tailo.syllable import BREVE, FINALS, MARKS, ONSETS, Syllable, mark_position

_TONES = {mark: tone for tone, mark in MARKS.items()} | {BREVE: 9}
O_DOTS = frozenset("\u0358\u0307·•‧∙⋅・･˙")
RAISED_N = frozenset("ⁿᴺ")
VERTICAL_LINE = "\u02c8"  # typed for the eighth tone's mark
MAX_SYLLABLE = 16  # code points when decomposed; the longest real one has 9


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

    def written(self, *, poj: bool = False, numbers: bool = False) -> str:
        """The canonical spelling in the case that was typed, with tone marks or with numbers."""
        syllable = self.syllable
        if numbers:
            text = syllable.poj_numbered() if poj else syllable.numbered()
        else:
            text = syllable.poj() if poj else syllable.marked()
        if self.case == "upper":
            return "".join(c if c in RAISED_N else c.upper() for c in text)
        return text[:1].upper() + text[1:] if self.case in ("capital", "mixed") else text


@lru_cache(maxsize=65536)
def parse(text: str) -> Syllable | None:
    """The syllable that `text` spells exactly as Tâi-lô prescribes, or None.

    Parameters
    ----------
    text : str
        One syllable with its tone mark; upper or lower case, NFC or NFD. A final -eng is taken
        for Pe̍h-ōe-jī and not parsed; `read` can take it for the dialect's final.
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
