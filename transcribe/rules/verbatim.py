"""V001, V002, V006, V009-V012, V015, V016: only what was said, and all of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy

TAG = Lazy(r"[\[<{［＜｛(（【]([^\[\]<>{}［］＜＞｛｝()（）【】]{1,40})[\]>}］＞｝)）】]")
_WORDLY = Lazy(f"[{texts.WORD}0-9]")
_LETTER = f"[{texts.LETTERS}]"


@rule("V001", stage=Stage.EVENTS, on=Kind.BRACKET | Kind.ANGLE, fix="safe")
def event_tag(text: str, orth: Orthography) -> Iterable[Hit]:
    """A known event tag moves from the text to the event tier.

    Why: laughter or a door is not a word; in its own tier it keeps its place and trains no word.
    Bad: ``[laughter] 我不行了。``
    Good: ``我不行了。`` with the event ``laughter``
    """
    tags = [tag for tag in TAG.finditer(text) if texts.is_lifted(tag[0], text, orth)]
    if tags and _nested(text, tags, orth):
        yield from (ask(*tag.span(), "") for tag in tags)
        return
    for tag in tags:
        start, end = tag.span()
        joins = start > 0 and _WORDLY.match(text, start - 1) and _WORDLY.match(text, end)
        yield Hit(start, end, " " if joins else "", True, event=texts.label_of(tag[1]))


def _nested(text: str, tags: list[re.Match[str]], orth: Orthography) -> bool:
    """Whether a tag would only come to be once another is taken out."""
    pieces, done = [], 0
    for tag in tags:
        pieces.append(text[done : tag.start()])
        done = tag.end()
    rest = "".join([*pieces, text[done:]])
    return any(texts.is_lifted(tag[0], rest, orth) for tag in TAG.finditer(rest))


_TOKEN = Lazy(f"(?<!{_LETTER})(?:[xX]{{3,}}|[yY]{{3,}})(?!{_LETTER})")
_BOX = Lazy(r"[□■▢☐〓◻◼▯▮]+|\(\( {0,3}\)\)")


@rule(
    "V002", stage=Stage.EVENTS, on=Kind.BRACKET | Kind.ANGLE | Kind.BOX | Kind.CROSS, fix="none", claims=False
)
def missing_speech(text: str, orth: Orthography) -> Iterable[Hit]:
    """No placeholder for speech that was not understood.

    Why: the sound would have words that the text lacks. Mark the segment incomplete instead; it
    then stays out of the training set.
    Bad: ``我覺得[聽不清]很好。``
    Good: the segment has the status ``incomplete``
    """
    for match in TAG.finditer(text):
        if texts.label_of(match[1]) in orth.missing:
            yield Hit(*match.span())
    folded = text.casefold()
    for match in _TOKEN.finditer(text) if "xxx" in folded or "yyy" in folded else ():
        yield Hit(*match.span())
    for match in _BOX.finditer(text):
        if match.start() > 0 or text[match.end() : match.end() + 1] != " ":
            yield Hit(*match.span())  # with a space after it at the start it is a list bullet


_HYPHEN_LAST = Lazy("-(?=[\\s，。？！,.?!]|$)")
_CUT_WORD = Lazy(f"{_LETTER}-(?=[\\s，。？！,.?!]|$)")


@cache
def _cut_han() -> re.Pattern[str]:
    han = texts.han_class()
    return re.compile(f"([{han}]{{1,3}})[-–—－]+\\1|[{han}][-－](?=[，。？！,.?!]|$)")


@rule("V006", stage=Stage.SYLLABLES, on=Kind.HYPHEN | Kind.DASH, fix="ask", claims=False)
def cut_off_word(text: str, orth: Orthography) -> Iterable[Hit]:
    """A cut-off word is written as the syllables that are heard, then a comma.

    Why: a hyphen has no sound; where the word broke off belongs to the event tier.
    Bad: ``我覺-覺得不好。``
    Good: ``我覺，覺得不好。``
    """
    for match in _CUT_WORD.finditer(text) if _HYPHEN_LAST.search(text) else ():
        if text[match.start() - 1 : match.start()] != "-":
            yield ask(match.start() + 1, match.end(), orth.comma, "")
    if orth.han:
        for match in _cut_han().finditer(text):
            fragment, *rest = re.split("[-–—－]+", match[0])
            repaired = orth.comma.join([fragment, *rest]) if rest[-1] else fragment
            yield ask(*match.span(), repaired, match[0].replace("-", ""))


_REPEATED = Lazy(r"(.)\1{4,}", re.IGNORECASE)
_TOO_MANY = 7


@rule("V009", stage=Stage.WORDS, on=Kind.HAN | Kind.LATIN, fix="ask")
def many_equal_characters(text: str, orth: Orthography) -> Iterable[Hit]:
    """Seven or more equal characters in a row are not a transcript; from five, have a look.

    Why: laughter belongs to the event tier, and nobody counts that many syllables by ear.
    Bad: ``哈哈哈哈哈哈哈哈，好好笑。``
    Good: ``哈哈哈，好好笑。``
    """
    if not _REPEATED.search(text):
        return
    kinds = orth.kinds
    for match in _REPEATED.finditer(text):
        if kinds[match[1]] & (Kind.HAN | Kind.LATIN):
            few = match.end() - match.start() < _TOO_MANY
            hit = ask(*match.span(), match[1] * 3)
            yield hit._replace(severity="warning" if few else None)


_REPEAT_SIGN = Lazy(f"[{characters.REPEAT_SIGNS}]")
_TIMES_SIGN = Lazy("[xXｘＸ×✕＊*]")
_TIMES = Lazy(
    r"(?<=[\w)）]) ?[xXｘＸ×✕＊*] ?(?:\d+|[一二三四五六七八九十]+)(?![A-Za-z])"
    r"|[(（\[] ?[xXｘＸ×✕] ?\d+ ?[)）\]]"
)


@rule(
    "V010",
    stage=Stage.NUMBERS,
    on=Kind.REPEAT | Kind.DIGIT | Kind.WIDE_DIGIT | Kind.OPERATOR | Kind.SYMBOL | Kind.CROSS,
    fix="ask",
)
def repetition_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """What was said twice is written twice.

    Why: a sign or a count does not say which syllables were repeated.
    Bad: ``大家都說好々。``
    Good: ``大家都說好好。``
    """
    for match in _REPEAT_SIGN.finditer(text):
        at = match.start()
        yield ask(at, at + 1, *([text[at - 1]] if at else []))
    for match in _TIMES.finditer(text) if _TIMES_SIGN.search(text) else ():
        before = text[max(0, match.start() - 1) : match.start()]
        if before in characters.NUMBER_WORDS and before:
            continue  # N009: a product
        glued = match[0][0] not in "(（[" and before.isascii()
        if not glued or (match[0][0] == " " and match[0][2] != " "):  # no x3, but not Model X 3
            yield Hit(*match.span())


@cache
def _alternatives() -> re.Pattern[str]:
    letter = f"[{texts.han_class()}{texts.LETTERS}]"
    return re.compile(f"(?<={letter}) ?[/／|｜] ?(?={letter})|[(（\\[][^()（）\\[\\]]{{0,20}}[?？][)）\\]]")


@rule("V011", stage=Stage.PUNCTUATION, on=Kind.SYMBOL | Kind.BRACKET | Kind.OPERATOR, fix="ask")
def alternative_or_doubt(text: str, orth: Orthography) -> Iterable[Hit]:
    """One reading, without alternatives or question marks in brackets.

    Why: only one of the words was said. Listen again; if it stays unclear, the segment is
    incomplete.
    Bad: ``他/她都可以。``
    Good: ``他都可以。``
    """
    for match in _alternatives().finditer(text):
        doubted = match[0][0] in "(（["
        yield ask(*match.span(), *([match[0].strip("()（）[]?？ "), ""] if doubted else []))


@cache
def _masked() -> re.Pattern[str]:
    han = texts.han_class()
    return re.compile(
        f"(?<=[{han}A-Za-z])[*＊○◯●╳✕✖]+|(?<![*＊○◯●╳✕✖])[*＊○◯●╳✕✖]+(?=[{han}])|[○◯●]{{2,}}"
        f"|(?<![A-Za-z])(?:XX+|OO+|ＸＸ+|ＯＯ+)(?=[{han}])|(?<=[{han}])(?:XX|OO)(?![A-Za-z])"
        # One cross only in the frames of swear words: 照 X 光 is said.
        "|(?<=[他她你妳媽妈王幹操肏靠傻煞牛裝装狗麻屁])[xXＸ×](?=[的蛋你娘逼屄了]|[，。？！,.?!]|$)"
        f"|(?<![{texts.LETTERS} ])[xXＸ×](?=[你他][娘媽妈老])"
    )


# 王〇明: a zero with no number beside it, nor what a number counts.
_COUNTED = characters.NUMBER_WORDS + characters.DIGIT_WORDS + "0-9０-９年月日號号點点分度室樓楼路班級级期次"
_ZERO_FOR_A_NAME = Lazy(f"(?<![{_COUNTED}])〇+(?![{_COUNTED}〇])(?=[^，。？！,.?! ])")
# In English f--- and s--t; a single I or a may break off, and Hokkien writes the neutral tone so.
_DASHED = Lazy(
    "(?<![A-Za-z])(?![AIai]-)[A-Za-z]-{2,}[A-Za-z]*(?![A-Za-z-])|(?<![A-Za-z])[A-Za-z]{2,4}-{3,}[A-Za-z]*"
)


_MASKS = Lazy("[*＊○◯●╳✕✖]")
_MAY_MASK = Lazy("[*＊○◯●╳✕✖xXOｘＸＯ×]")
_VOWEL_SIGN = Lazy("[!！@#$%&](?=[a-zA-Z])")
# Swear words with a sign for their vowel.
_SIGNED = Lazy(
    "(?<![A-Za-z])(?:f|sh|b|d|c|a)[!！@#$%&]{1,3}(?:ck|t|tch|nt|s|ss|hole)(?:ing|ed|er|s|y)?(?![A-Za-z])",
    re.I,
)


@rule(
    "V012",
    stage=Stage.NUMBERS,
    on=Kind.MASK | Kind.ZERO | Kind.CROSS | Kind.HYPHEN | Kind.SYMBOL | Kind.OTHER_MARK | Kind.CURRENCY,
    fix="none",
)
def masked_word(text: str, orth: Orthography) -> Iterable[Hit]:
    """No masked words.

    Why: the word was said and is in the sound. What must not be published is a decision about
    the whole segment.
    Bad: ``F**k，好痛。``
    Good: the word that was said
    """
    for match in _masked().finditer(text) if (_MAY_MASK if orth.han else _MASKS).search(text) else ():
        start, end = match.span()
        around = text[max(0, start - 1) : start] + text[end : end + 1]
        if any(char in characters.NUMBER_WORDS for char in around) or (
            start == 0 and text[end : end + 1] == " "
        ):
            continue  # N012, or a list bullet
        yield Hit(start, end)
    if orth.zero and "〇" in text:
        for match in _ZERO_FOR_A_NAME.finditer(text):
            yield Hit(*match.span())
    for match in _SIGNED.finditer(text) if _VOWEL_SIGN.search(text) else ():
        yield Hit(*match.span())
    if not orth.hokkien and "--" in text:
        for match in _DASHED.finditer(text):
            yield Hit(*match.span())


_MUSIC = Lazy(f"[{characters.MUSIC}]+")
_CREDITS = Lazy(
    "字幕[^，。？！,.?!:：]{0,4}[:：]|字幕 ?[bB]y|字幕由.{1,20}?(?:提供|[製制]作)|字幕志[愿願]者"
    "|^[^，。？！]{0,12}字幕[组組]$"
    "|[請请]不吝[點点][讚赞]|[訂订][閱阅][轉转][發发]|明[鏡镜][與与][點点]+|>>+ ?|[Aa]mara\\.org"
    "|[Ss]ubtitles? by|[Cc]aption(?:s|ed|ing)? by"
)
# Recognisers invent these, but people who make films also say them.
_THANKS = Lazy("[感謝谢]{1,2}[您大家]{0,2}[觀观]看|[Tt]hanks? (?:you )?for watching")


@rule("V015", stage=Stage.EVENTS, on=Kind.MUSIC | Kind.STOCK | Kind.LATIN, fix="ask", claims=False)
def subtitle_residue(text: str, orth: Orthography) -> Iterable[Hit]:
    """Nothing left over from subtitles.

    Why: music signs and credits are not speech, and recognisers repeat them for ever.
    Bad: ``♪啦啦啦♪``
    Good: ``啦啦啦。``
    """
    for match in _MUSIC.finditer(text):
        yield ask(*match.span(), "")
    if orth.han or "by" in text or "mara" in text or ">>" in text:
        for match in _CREDITS.finditer(text):
            yield Hit(*match.span())
    for match in _THANKS.finditer(text) if "watching" in text or "看" in text else ():
        yield Hit(*match.span(), severity="warning")


_STATUS = Lazy("[語语]音|人[聲声]|[轉转][寫写]|音[檔档頻频]|[錄录]音|文字")
_OPENING = frozenset("(（[【<{「*-")


@rule("V016", stage=Stage.EVENTS, on=Kind.STOCK | Kind.LATIN, fix="none", claims=False)
def placeholder_text(text: str, orth: Orthography) -> Iterable[Hit]:
    """No placeholder instead of a transcript.

    Why: a clip without speech has a status for that; words in its place would be trained on.
    Bad: ``（無語音）``
    Good: no transcript, and the clip's status says why
    """
    if len(text) > 24:
        return
    bare = re.sub("[ _-]", "", text.strip(" ()（）[]【】<>{}「」*-_.。")).casefold()
    bracketed = text.strip(" .。")[:1] in _OPENING
    if not bare or bare not in orth.placeholders or (len(bare) == 1 and not bracketed):
        return
    if bracketed or text.strip()[-1] not in orth.ends or _STATUS.search(bare):
        yield Hit(0, len(text))  # 「無。」 is an answer, 「無語音。」 is none
