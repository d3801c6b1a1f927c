"""L001-L006, L010: lengths, rates and consistency of one utterance."""

from __future__ import annotations

from collections.abc import Iterable

from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Clip, Hit, Stage, ask, clip_rule, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy

# Per second of active speech. Read speech in AISHELL-1: median 3.2, P99 4.4, maximum 5.5.
FAST_SYLLABLES_PER_S, TOO_FAST_SYLLABLES_PER_S = 8.0, 11.0
SLOW_SYLLABLES_PER_S, SLOW_FROM_S = 1.0, 3.0
LONG_S, TOO_LONG_S, TOO_LONG_SYLLABLES = 30.0, 40.0, 300
SPARSE_FROM, DENSE_FROM = 25, 12  # syllables from which the density of marks says something


@clip_rule("L001")
def too_fast(text: str, orth: Orthography, clip: Clip) -> Iterable[Hit]:
    """At most 11 syllables a second of speech; above 8 is worth a look.

    Why: nobody speaks that fast, so the text is longer than the sound.
    Bad: 30 syllables in 2 s of speech
    Good: 12 syllables in 2.5 s of speech
    """
    if clip.speech_s is None or clip.speech_s <= 0:
        return
    rate = texts.syllables(text, orth) / clip.speech_s
    if rate > TOO_FAST_SYLLABLES_PER_S:
        yield Hit(0, len(text))
    elif rate > FAST_SYLLABLES_PER_S:
        yield Hit(0, len(text), severity="warning")


@clip_rule("L002", severity="warning")
def too_slow(text: str, orth: Orthography, clip: Clip) -> Iterable[Hit]:
    """At least one syllable a second where more than three seconds were spoken.

    Why: speech may be missing from the text.
    Bad: 2 syllables in 8 s of speech
    Good: 12 syllables in 4 s of speech
    """
    if clip.speech_s is None or clip.speech_s <= SLOW_FROM_S:
        return
    if texts.syllables(text, orth) < SLOW_SYLLABLES_PER_S * clip.speech_s:
        yield Hit(0, len(text))


_WORDS = Lazy(f"[{texts.LETTERS}]{{2,}}")


@rule("L003", stage=Stage.END, on=Kind.LATIN, fix="ask", severity="warning")
def acronym_case(text: str, orth: Orthography) -> Iterable[Hit]:
    """An acronym is written as the project's list writes it.

    Why: one spelling a word, or the same word counts as two.
    Bad: ``他在 ktv 唱歌。``
    Good: ``他在 KTV 唱歌。``
    """
    spellings = orth.acronym_spellings
    if not spellings:
        return
    for match in _WORDS.finditer(text):
        listed = spellings.get(match[0].casefold())
        if listed is None or listed == match[0] or (listed.isupper() and match[0].istitle()):
            continue
        if not orth.in_glossary(text, *match.span()):
            yield ask(*match.span(), listed)


@rule("L004", stage=Stage.END, on=Kind.ALWAYS, fix="none")
def empty(text: str, orth: Orthography) -> Iterable[Hit]:
    """An utterance says something.

    Why: an empty text or a lone event is no transcript; the clip gets a status instead.
    Bad: ``[MUSIC]``
    Good: ``嗯。``
    """
    if not text or text.isspace():
        yield Hit(0, len(text))


@clip_rule("L005", needs_clip=False)
def too_long(text: str, orth: Orthography, clip: Clip) -> Iterable[Hit]:
    """At most 40 s of speech and 300 syllables; above 30 s is worth a look.

    Why: recognisers are trained on utterances, and a long one is hard to align.
    Bad: 55 s of speech in one utterance
    Good: 8 s of speech
    """
    speech_s = clip.speech_s or 0.0
    many = len(text) > TOO_LONG_SYLLABLES and texts.syllables(text, orth) > TOO_LONG_SYLLABLES
    if speech_s > TOO_LONG_S or many:
        yield Hit(0, len(text))
    elif speech_s > LONG_S:
        yield Hit(0, len(text), severity="warning")


@clip_rule("L006", severity="warning")
def prompt_pasted(text: str, orth: Orthography, clip: Clip) -> Iterable[Hit]:
    """Spontaneous speech does not repeat its prompt word for word.

    Why: the prompt was probably pasted instead of listening.
    Bad: the prompt as the transcript of a monologue
    Good: what was said
    """
    if clip.prompt and texts.fold(clip.prompt, orth) == texts.fold(text, orth):
        yield Hit(0, len(text))


@rule("L010", stage=Stage.END, on=Kind.MARK, fix="none", severity="warning")
def density_of_marks(text: str, orth: Orthography) -> Iterable[Hit]:
    """Between one mark in two syllables and one in 25.

    Why: far more or far fewer marks than pauses teach a model nothing about pauses.
    Bad: ``我，跟，你，說，他，昨，天，沒，有，來，喔，真的。``
    Good: ``我跟你說，他昨天沒有來喔，真的。``
    """
    if len(text) < DENSE_FROM:
        return
    marks = orth.marks
    count = text.count(marks[0]) + text.count(marks[1]) + text.count(marks[2]) + text.count(marks[3])
    fewest = len(text) // 2 if orth.han else text.count(" ") + 1  # syllables, about
    most = len(text) if orth.han else len(text) // 2
    if count * 2 <= fewest and count * SPARSE_FROM >= most:
        return
    spoken = texts.syllables(text, orth)
    if (spoken >= SPARSE_FROM and count * SPARSE_FROM < spoken) or (
        spoken >= DENSE_FROM and count * 2 > spoken
    ):
        yield Hit(0, len(text))
