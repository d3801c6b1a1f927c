"""R001-R008, R011, R013-R016: each Hokkien syllable is one, and is written one way."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from transcribe import tailo
from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, PerWord

_BODY = f"{texts.WORD}·•‧∙⋅・･˙ˈ"
_TOKEN = Lazy(f"[{texts.WORD}][{_BODY}0-9]*(?:['-]+[{texts.WORD}][{_BODY}0-9]*)*")
_PART = Lazy(f"[{_BODY}]+[0-9]?")
_APOSTROPHE_INSIDE = Lazy(f"(?<![{texts.WORD}])([{texts.WORD}]+)['|]([hptk])(?![{texts.WORD}])")
_RUN_TOGETHER = Lazy(f"[0-9][{texts.WORD}]")
# A hyphen with no letter or digit on one side of its run; most stand between two.
DANGLING = Lazy(f"-(?:(?<![{texts.WORD}0-9-]-)|(?![{texts.WORD}0-9-]))")
_MARKED = Lazy("[^A-Za-z'-]")


class Part(NamedTuple):
    """One syllable of a token, where it stands, and how it reads."""

    start: int
    end: int
    text: str
    reading: tailo.Reading | None
    word: str


def hokkien(orth: Orthography) -> bool:
    """Whether the ruleset's Latin words are Hokkien."""
    return orth.hokkien


@lru_cache(maxsize=65536)
def _word(token: str, poj: bool, eng: bool) -> tuple[tuple[Part, ...], frozenset[str]]:
    """The syllables of one token, with places counted from its beginning, and their notes."""
    if "'" in token:  # no syllable has one: an elision, a slip, or the eighth tone's mark (R008)
        note = "R008" if _APOSTROPHE_INSIDE.search(token) else "R001"
        return (Part(0, len(token), token, None, token),), frozenset({note})
    if _RUN_TOGETHER.search(token):
        return _run_together(token, poj)
    found: list[Part] = []
    notes: set[str] = set()
    for piece in _PART.finditer(token):
        reading = tailo.read(piece[0], poj=poj, eng=eng)
        if reading is None:
            notes |= {"R001"} if not piece[0][-1].isdigit() else set()
        else:
            notes |= reading.notes
            if reading.case == "upper":
                notes.add("R011")
            if reading.syllable.final in tailo.DIALECT_FINALS:
                notes.add("R014")
        found.append(Part(*piece.span(), piece[0], reading, token))
    return tuple(found), frozenset(notes)


def _run_together(token: str, poj: bool) -> tuple[tuple[Part, ...], frozenset[str]]:
    """Syllables with tone numbers and no hyphens between them; or a code such as H5N1."""
    readings = [tailo.read(piece[0], poj=poj) for piece in _PART.finditer(token)]
    if all(reading is not None and reading.syllable.legal for reading in readings) and not token.isupper():
        return (Part(0, len(token), token, None, token),), frozenset({"R004"})
    return (), frozenset()


_NO_NOTES: frozenset[str] = frozenset()


@lru_cache(maxsize=32)
def _notes_by_word(orth: Orthography) -> PerWord[frozenset[str]]:
    """Notes on what stands between two spaces, which no syllable goes across."""
    return PerWord(lambda word: _parts(word, orth)[1])


@lru_cache(maxsize=4)
def parts(text: str, orth: Orthography) -> tuple[tuple[Part, ...], frozenset[str]]:
    """The syllables of the words whose spelling something is to be said about, and all notes on it.

    In mixed writing a plain Latin word may be English, so only words that carry
    a tone mark or number are taken for Hokkien.
    """
    return _parts(text, orth, noted=True)


def _parts(text: str, orth: Orthography, *, noted: bool = False) -> tuple[tuple[Part, ...], frozenset[str]]:
    """The syllables of all words, or of those that have a note."""
    found: list[Part] = []
    notes: set[str] = set()
    poj = orth.romanisation == "poj"
    eng = "eng" in orth.dialect_finals
    words, mixed = orth.words, orth.han
    for match in _TOKEN.finditer(text):
        token = match[0]
        if mixed and not _MARKED.search(token):
            if "'" in token and _APOSTROPHE_INSIDE.search(token):
                notes.add("R008")
            continue
        if words and (token in words or token.casefold() in words):
            continue
        if token[-1].isdigit() and _is_code(token, mixed):
            continue  # such as H5N1 or LINE2: its digits are numbers
        read, own = _word(token, poj, eng)
        if noted and not own:
            continue
        notes |= own
        at = match.start()
        found += [Part(at + part.start, at + part.end, part.text, part.reading, token) for part in read]
    if tailo.VERTICAL_LINE in text or "|" in text:
        notes.add("R008")
    return tuple(found), frozenset(notes)


def _is_code(token: str, mixed: bool) -> bool:
    """Whether the digits of a token are no tones: two of them, or capitals before one.

    Capitals with a tone number on every syllable (``TAI5-UAN5``) are Hokkien. In mixed writing a
    single capital with a number is a size or a place (``A4``).
    """
    if token[-2:-1].isdigit():
        return True
    if not token[:-1].isupper() or (len(token) == 2 and not mixed):
        return False
    return "-" not in token or not all(piece[-1:].isdigit() for piece in token.split("-") if piece)


@lru_cache(maxsize=32)
def _tone_by_word(orth: Orthography) -> PerWord[bool]:
    """Whether a tone is written somewhere in a word, or something that is no syllable."""
    return PerWord(
        lambda word: any(
            part.reading is None or part.reading.syllable.tone not in (1, 4) for part in _parts(word, orth)[0]
        )
    )


def toneless(text: str, orth: Orthography) -> int:
    """How many syllables a text has if none of them carries a tone, else 0."""
    if any(map(_tone_by_word(orth).__getitem__, text.split(" "))):
        return 0
    return len(_parts(text, orth)[0])


def notes_of(text: str, orth: Orthography) -> frozenset[str]:
    """Codes of the rules that have something to say about a text's syllables."""
    found = _NO_NOTES
    for notes in map(_notes_by_word(orth).__getitem__, text.split(" ")):
        if notes:
            found |= notes
    return found


def _noted(text: str, orth: Orthography, note: str) -> Iterator[tuple[Part, tailo.Reading]]:
    """Syllables whose spelling breaks one rule, with how they read."""
    for part in parts(text, orth)[0]:
        if part.reading is not None and note in part.reading.notes:
            yield part, part.reading


def _mended(text: str, orth: Orthography, note: str) -> Iterable[Hit]:
    """Safe edits to the canonical form, for syllables that can exist and have one reading."""
    for part, reading in _noted(text, orth, note):
        doubtful = reading.notes & {"R002", "R011", "R013", "R015"}
        if not doubtful and not _is_eng(part, orth):
            yield mend(part.start, part.end, written(reading, orth))


def written(reading: tailo.Reading, orth: Orthography) -> str:
    """The canonical spelling of a syllable that was read."""
    return reading.written(poj=orth.romanisation == "poj")


def _is_eng(part: Part, orth: Orthography) -> bool:
    """Whether the spelling -eng or -ek leaves open which final is meant."""
    reading = part.reading
    if reading is None or "R005" not in reading.notes:
        return False
    letters = unicodedata.normalize("NFD", part.text).casefold()
    if orth.romanisation == "poj":  # half of such a syllable is Tâi-lô, where these are other finals
        return letters.startswith("ts") and reading.syllable.final in ("ing", "ik", "eng") and "e" in letters
    return reading.syllable.final == "ing" and "e" in letters  # not ching, of mixed letters


_ON = Kind.LATIN | Kind.ACCENT


@rule("R001", stage=Stage.SYLLABLES, on=_ON, fix="ask", applies=hokkien, gate=notes_of)
def not_a_syllable(text: str, orth: Orthography) -> Iterable[Hit]:
    """Every romanised syllable is in the inventory, or the word is on the project's list.

    Why: a syllable that does not exist is a slip, and only the sound can tell which.
    Bad: ``Guá beh khì xiong.``
    Good: ``Guá beh khì siong.``
    """
    found, notes = parts(text, orth)
    if "R001" not in notes:
        return
    for part in found:
        if part.reading is None and not any(char in "0123456789" for char in part.text):
            yield ask(part.start, part.end, *_guesses(part.text, orth))


def _guesses(piece: str, orth: Orthography) -> Iterable[str]:
    for old, new in (("x", "s"), ("q", "tsh"), ("z", "j"), ("c", "tsh"), ("d", "t"), ("f", "hu"), ("y", "i")):
        if old in piece.casefold():
            guess = piece.casefold().replace(old, new)
            if tailo.parse(guess) is not None:
                yield guess


@rule("R002", stage=Stage.SYLLABLES, on=_ON | Kind.DIGIT, fix="ask", applies=hokkien, gate=notes_of)
def impossible_syllable(text: str, orth: Orthography) -> Iterable[Hit]:
    """Onset, final and tone can stand together.

    Why: a final in p, t, k or h has tone four or eight and no other final has; after m, n and ng
    no nasal is written. What breaks this was misheard or mistyped.
    Bad: ``Guá tsiáh-pá--ah.``
    Good: ``Guá tsia̍h-pá--ah.``
    """
    for part, reading in _noted(text, orth, "R002"):
        syllable = reading.syllable
        if syllable.stopped:
            kept = [tailo.Syllable(syllable.onset, syllable.final, tone) for tone in (8, 4)]
        elif syllable.tone in (4, 8):
            kept = [tailo.Syllable(syllable.onset, syllable.final, tone) for tone in (1, 5, 7)]
        else:
            kept = [tailo.Syllable(syllable.onset, syllable.final.replace("nn", ""), syllable.tone)]
        legal = (each for each in kept if each.legal)
        poj = orth.romanisation == "poj"
        yield ask(
            part.start, part.end, *(_cased(each.poj() if poj else each.marked(), part) for each in legal)
        )


def _cased(text: str, part: Part) -> str:
    return text[:1].upper() + text[1:] if part.text[:1].isupper() else text


@rule("R003", stage=Stage.SYLLABLES, on=Kind.ACCENT, fix="safe", applies=hokkien, gate=notes_of)
def mark_on_wrong_letter(text: str, orth: Orthography) -> Iterable[Hit]:
    """The tone mark stands on the letter that the orthography prescribes.

    Why: syllable and tone are the same; one word needs one spelling.
    Bad: ``Guá tīo sī án-ne.``
    Good: ``Guá tiō sī án-ne.``
    """
    yield from _mended(text, orth, "R003")


@rule("R004", stage=Stage.SYLLABLES, on=Kind.DIGIT, fix="safe", applies=hokkien, gate=notes_of)
def tone_number(text: str, orth: Orthography) -> Iterable[Hit]:
    """Tones are written as marks; a number after a valid syllable becomes its mark.

    Why: numbers are for typing. A digit after anything else is a digit (N001).
    Bad: ``Tai5-gi2``
    Good: ``Tâi-gí``
    """
    for part in parts(text, orth)[0]:
        if part.reading is None and _RUN_TOGETHER.search(part.text):
            yield ask(
                part.start, part.end, _RUN_TOGETHER.sub(lambda pair: f"{pair[0][0]}-{pair[0][1]}", part.text)
            )
    for part, reading in _noted(text, orth, "R004"):
        if reading.syllable.tone == 0 and text[part.start - 2 : part.start] != "--":
            yield ask(part.start, part.end, "--" + written(reading, orth))
        elif not reading.notes & {"R002", "R011", "R013", "R015"} and not _is_eng(part, orth):
            yield mend(part.start, part.end, written(reading, orth))


@rule("R005", stage=Stage.SYLLABLES, on=_ON, fix="mixed", applies=hokkien, gate=notes_of)
def other_orthography(text: str, orth: Orthography) -> Iterable[Hit]:
    """One orthography: Tâi-lô spellings in a Tâi-lô ruleset, POJ ones in a POJ ruleset.

    Why: they spell the same syllables. Only POJ -eng is left to a person in Tâi-lô: it is -ing
    there, but also a real final of one dialect.
    Bad: ``Góa chin hoaⁿ-hí.``
    Good: ``Guá tsin huann-hí.``
    """
    yield from _mended(text, orth, "R005")
    for part, reading in _noted(text, orth, "R005"):
        if _is_eng(part, orth):
            yield ask(part.start, part.end, written(reading, orth))


@rule("R006", stage=Stage.SYLLABLES, on=_ON, fix="safe", applies=hokkien, gate=notes_of)
def nasal_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """The nasal vowel is written as the orthography prescribes: nn, or ⁿ in POJ.

    Why: a raised or a capital N is the same sign typed in another way.
    Bad: ``siáN``
    Good: ``siánn``
    """
    yield from _mended(text, orth, "R006")


@rule(
    "R007",
    stage=Stage.SYLLABLES,
    on=Kind.ACCENT | Kind.MIDDLE_DOT | Kind.SYMBOL,
    fix="safe",
    applies=hokkien,
    gate=notes_of,
)
def o_dot(text: str, orth: Orthography) -> Iterable[Hit]:
    """The open o is written oo, or o͘ in POJ.

    Why: people type a middle dot or a bullet for the dot that their keyboard lacks.
    Bad: ``Thô·-kha``
    Good: ``Thôo-kha``
    """
    yield from _mended(text, orth, "R007")


@rule(
    "R008",
    stage=Stage.SYLLABLES,
    on=Kind.FOREIGN | Kind.APOSTROPHE | Kind.SYMBOL | Kind.OPERATOR,
    fix="mixed",
    applies=hokkien,
    gate=notes_of,
)
def eighth_tone_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """The eighth tone's mark is U+030D.

    Why: the modifier line is the same mark beside the letter. An apostrophe may also be a slip or
    an elision, so a person decides.
    Bad: ``tsiaˈh``
    Good: ``tsia̍h``
    """
    yield from _mended(text, orth, "R008")
    for at, char in enumerate(text) if tailo.VERTICAL_LINE in text else ():
        if char == tailo.VERTICAL_LINE and not any(
            p.start <= at < p.end and p.reading for p in parts(text, orth)[0]
        ):
            yield ask(at, at + 1, "")
    for match in _APOSTROPHE_INSIDE.finditer(text):
        bare = match[1] + match[2]
        reading = tailo.read(bare)
        if reading is not None and reading.syllable.stopped:
            marked = tailo.Syllable(reading.syllable.onset, reading.syllable.final, 8).marked()
            yield ask(*match.span(), marked[:1].upper() + marked[1:] if bare[0].isupper() else marked, bare)


@rule("R011", stage=Stage.SYLLABLES, on=_ON, fix="ask", applies=hokkien, gate=notes_of)
def capital_inside(text: str, orth: Orthography) -> Iterable[Hit]:
    """Capitals stand at the beginning of a word.

    Why: inside a syllable they may be a slip or a sign for something else. A word wholly in capitals
    is only pointed out.
    Bad: ``tÂi-uân``
    Good: ``Tâi-uân``
    """
    for part, reading in _noted(text, orth, "R011"):
        plain = reading.syllable.marked()
        yield ask(part.start, part.end, plain, plain[:1].upper() + plain[1:])
    if orth.han:
        return
    for part in parts(text, orth)[0]:
        if part.reading is not None and part.reading.case == "upper" and not part.reading.notes:
            plain = written(part.reading, orth).lower()
            yield ask(part.start, part.end, plain, plain[:1].upper() + plain[1:])._replace(severity="warning")


@rule("R013", stage=Stage.SYLLABLES, on=Kind.ACCENT, fix="ask", applies=hokkien, gate=notes_of)
def two_tone_marks(text: str, orth: Orthography) -> Iterable[Hit]:
    """One tone mark a syllable.

    Why: with two, the tone is unknown, or two syllables have run together.
    Bad: ``Tâí-uân``
    Good: ``Tâi-uân``
    """
    poj = orth.romanisation == "poj"
    for part, reading in _noted(text, orth, "R013"):
        kept = []
        for mark, tone in ((mark, tone) for tone, mark in tailo.MARKS.items()):
            if mark in unicodedata.normalize("NFD", part.text):
                base = reading.syllable
                syllable = tailo.Syllable(base.onset, base.final, tone)
                kept.append(_cased(syllable.poj() if poj else syllable.marked(), part))
        yield ask(part.start, part.end, *kept)


@rule("R014", stage=Stage.SYLLABLES, on=_ON, fix="ask", severity="warning", applies=hokkien, gate=notes_of)
def dialect_final(text: str, orth: Orthography) -> Iterable[Hit]:
    """A final that only some dialects have is enabled for the project.

    Why: where nobody speaks that dialect it is a slip.
    Bad: ``bér`` where the project has not enabled er
    Good: ``bué``
    """
    for part in parts(text, orth)[0]:
        if part.reading is None:
            continue
        final = part.reading.syllable.final
        if final in tailo.DIALECT_FINALS and final not in orth.dialect_finals:
            yield Hit(part.start, part.end)


@rule("R015", stage=Stage.SYLLABLES, on=Kind.ACCENT, fix="ask", applies=hokkien, gate=notes_of)
def breve(text: str, orth: Orthography) -> Iterable[Hit]:
    """No breve in Tâi-lô.

    Why: it is POJ's ninth tone, or a caron, tone six, drawn carelessly.
    Bad: ``tsăi``
    Good: ``tsǎi`` or ``tsa̋i``
    """
    for part, reading in _noted(text, orth, "R015"):
        base = reading.syllable
        both = (tailo.Syllable(base.onset, base.final, tone).marked() for tone in (6, 9))
        yield ask(part.start, part.end, *(_cased(each, part) for each in both))


@rule("R016", stage=Stage.SYLLABLES, on=Kind.ACCENT, fix="safe", applies=hokkien, gate=notes_of)
def dotless_i(text: str, orth: Orthography) -> Iterable[Hit]:
    """The i under a tone mark is the ordinary i.

    Why: some keyboards put a dotless letter there; it looks the same.
    Bad: ``tsı̍t``
    Good: ``tsi̍t``
    """
    yield from _mended(text, orth, "R016")
