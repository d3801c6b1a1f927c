"""What each character is to the rules: lists of signs, and the kinds that a rule looks for."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from functools import cache

from transcribe.unicode_table import DATA, properties

FULL_MARKS = "，。？！"
HALF_MARKS = ",.?!"
# Other code points of the four marks, by the half-width mark or marks they stand for.
MARK_FORMS: Mapping[str, str] = {
    "｡": ".", "﹐": ",", "﹒": ".", "﹖": "?", "﹗": "!", "︐": ",", "︒": ".", "︕": "!", "︖": "?",
    "‼": "!!", "⁇": "??", "⁈": "?!", "⁉": "!?", "．": ".", "․": ".",
}  # fmt: skip
ENUMERATION = "、﹑､︑"
COLONS = ":：﹕︓∶;；﹔︔"
ELLIPSES = "…⋯‥︙︰"
LONG_DASHES = "—―─━⸺⸻︱﹘"
SHORT_DASHES = "–‒"
TILDES = "~～〜∼〰˜"
HYPHENS = "-‐‑﹣－⁃˗"
QUOTES = '「」『』“”„‟«»‹›《》〈〉〝〞〟"＂﹁﹂﹃﹄｢｣︽︾︿﹀'
SINGLE_QUOTES = "‘’‚‛'＇"
APOSTROPHES = "’ʼ´`‘ʹ′＇‛ʻˊ"
OPENING_BRACKETS = "(（[［{｛【〔〖〘〚﹙﹛﹝⟨⟦⟪⦅｟❨❪❬❰❲❴︵︷︹︻"
CLOSING_BRACKETS = ")）]］}｝】〕〗〙〛﹚﹜﹞⟩⟧⟫⦆｠❩❫❭❱❳❵︶︸︺︼"
MIDDLE_DOTS = "·・•‧･∙⋅ㆍ᛫"
BULLETS = "●▪■◆◦‣⁃○★☆※►▶◇□▫"
SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
LINE_BREAKS = "\t\n\x0b\x0c\r\x85\u2028\u2029"
INVISIBLE = (
    "\u00ad\u034f\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064"
    "\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
BIDI_OVERRIDES = "\u202d\u202e"
DESCRIPTIONS = "⿰⿱⿲⿳⿴⿵⿶⿷⿸⿹⿺⿻⿼⿽⿾⿿㇯〾"
REPEAT_SIGNS = "々〻ゝゞヽヾ〱〲〳〴〵"
ZEROS = "○◯Ｏ"
BOXES = "□■▢☐〓◻◼▯▮"
MUSIC = "♪♫♬♩♭♮♯"
KEYCAP = "\u20e3"  # makes an emoji of the digit before it
DIGIT_WORDS = "零〇一二三四五六七八九"
NUMBER_WORDS = DIGIT_WORDS + "兩两十百千萬万億亿廿卅半幾几"
# What the second bytes of UTF-8 become when they are read as Windows-1252 or Latin-1.
CONTINUATIONS = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ" + "".join(map(chr, range(0x80, 0xC0)))
# The twelve code points of the compatibility block that are ordinary ideographs.
UNIFIED_TWELVE = "﨎﨏﨑﨓﨔﨟﨡﨣﨤﨧﨨﨩"
IDENTICAL_TO_HAN: Mapping[str, str] = {
    "ㄧ": "一", "丶": "，", "ニ": "二", "ロ": "口", "カ": "力", "エ": "工", "タ": "夕", "ト": "卜",
    "ハ": "八", "ー": "一", "ミ": "三", "オ": "才", "チ": "千", "ㄚ": "丫", "ㄇ": "冂", "ㄈ": "匚", "ㆍ": "·",
}  # fmt: skip


class Kind:
    """What a character can set off, as bits. A rule names the kinds that it looks for.

    Plain integers: an enumeration's operators would cost more than the rules.
    """

    HAN = 1 << 0
    LATIN = 1 << 1
    ACCENT = 1 << 2  # a Latin letter beyond ASCII, or a combining mark
    MARK = 1 << 3  # one of the ruleset's own four marks
    OTHER_MARK = 1 << 4  # one of the four in the other width
    MARK_FORM = 1 << 5
    SPACE = 1 << 6
    OTHER_SPACE = 1 << 7
    LINE_BREAK = 1 << 8
    ENUMERATION = 1 << 9
    COLON = 1 << 10
    DOT = 1 << 11  # a full stop, half width
    ELLIPSIS = 1 << 12
    DASH = 1 << 13
    TILDE = 1 << 14
    HYPHEN = 1 << 15
    QUOTE = 1 << 16
    APOSTROPHE = 1 << 17
    BRACKET = 1 << 18
    ANGLE = 1 << 19
    MIDDLE_DOT = 1 << 20
    SYMBOL = 1 << 21
    DIGIT = 1 << 22
    WIDE_DIGIT = 1 << 23
    OTHER_NUMBER = 1 << 24
    PERCENT = 1 << 25
    CURRENCY = 1 << 26
    UNIT = 1 << 27
    OPERATOR = 1 << 28
    NUMBER_WORD = 1 << 29
    ZERO = 1 << 30
    NOT_NFC = 1 << 31
    COMPAT_HAN = 1 << 32
    WIDE_LATIN = 1 << 33
    INVISIBLE = 1 << 34
    BIDI = 1 << 35
    PRIVATE = 1 << 36
    SELECTOR = 1 << 37
    BROKEN = 1 << 38
    CONTROL = 1 << 39
    LOOK_ALIKE = 1 << 40
    FOREIGN = 1 << 41
    EMOJI = 1 << 42
    OTHER_VARIETY = 1 << 43
    HIJACKED = 1 << 44
    DESCRIPTION = 1 << 45
    COMBINING = 1 << 46
    MOJIBAKE = 1 << 47
    REPEAT = 1 << 48
    BOX = 1 << 49
    MUSIC = 1 << 50
    MASK = 1 << 51  # what people hide words behind
    CROSS = 1 << 52  # x and y, typed for speech that was not understood
    STOCK = 1 << 53  # occurs in subtitles' credits and in placeholders
    WORDING = 1 << 54  # begins something in one of the ruleset's word lists
    HYPHEN_FORM = 1 << 55  # a hyphen other than U+002D
    ALWAYS = 1 << 56  # every text, the empty one too


@cache
def varieties() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Characters of simplified script only, and of traditional only, with counterparts."""
    raw = json.loads((DATA / "varieties.json").read_text(encoding="utf-8"))
    return raw["simplified_only"], raw["traditional_only"]


# Kinds that hang on the character alone, whatever the ruleset.
SIGNS: dict[str, int] = {}
for _chars, _kind in (
    (FULL_MARKS + HALF_MARKS, Kind.OTHER_MARK),  # the ruleset's own replace these
    (MARK_FORMS, Kind.MARK_FORM),
    (" ", Kind.SPACE),
    (SPACES, Kind.OTHER_SPACE),
    (LINE_BREAKS, Kind.LINE_BREAK),
    (ENUMERATION, Kind.ENUMERATION),
    (COLONS, Kind.COLON),
    (ELLIPSES, Kind.ELLIPSIS),
    (LONG_DASHES + SHORT_DASHES, Kind.DASH),
    (TILDES, Kind.TILDE),
    (HYPHENS, Kind.HYPHEN),
    (HYPHENS[1:], Kind.HYPHEN_FORM),
    (QUOTES, Kind.QUOTE),
    (SINGLE_QUOTES, Kind.QUOTE | Kind.APOSTROPHE),
    ("ʼ´`ʹ′ʻ", Kind.APOSTROPHE | Kind.SYMBOL),
    (OPENING_BRACKETS + CLOSING_BRACKETS, Kind.BRACKET),
    ("<>＜＞", Kind.ANGLE | Kind.OPERATOR),
    (MIDDLE_DOTS, Kind.MIDDLE_DOT),
    (BULLETS, Kind.MIDDLE_DOT | Kind.SYMBOL),
    ("0123456789", Kind.DIGIT),
    ("０１２３４５６７８９", Kind.WIDE_DIGIT),
    ("%％‰‱﹪٪", Kind.PERCENT),
    ("℃℉°˚′″‴", Kind.UNIT),
    (INVISIBLE, Kind.INVISIBLE),
    (BIDI + BIDI_OVERRIDES, Kind.BIDI),
    (DESCRIPTIONS, Kind.DESCRIPTION),
    (REPEAT_SIGNS, Kind.REPEAT),
    (BOXES, Kind.BOX | Kind.MIDDLE_DOT),
    (MUSIC, Kind.MUSIC | Kind.SYMBOL),
    (ZEROS, Kind.ZERO),
    (NUMBER_WORDS, Kind.NUMBER_WORD),
    ("*＊╳✕✖", Kind.SYMBOL | Kind.MASK),
    ("○◯●XOＸＯ", Kind.MASK),
    ("xXyY", Kind.CROSS),
    ("幕吝閱阅觀观鏡镜無无空靜静聲声沒没待略>", Kind.STOCK),
    ("锟烫屯", Kind.MOJIBAKE),
    (CONTINUATIONS, Kind.MOJIBAKE),
    ("\ufffd", Kind.BROKEN),
):
    for _char in _chars:
        SIGNS[_char] = SIGNS.get(_char, 0) | _kind
for _char in "○◯":
    SIGNS[_char] |= Kind.SYMBOL  # where it neither stands for zero nor hides a word
SIGNS["〇"] |= Kind.ZERO
SIGNS["."] |= Kind.DOT
SIGNS["．"] |= Kind.DOT
SIGNS["。"] |= Kind.ELLIPSIS
SIGNS["."] |= Kind.ELLIPSIS


def is_latin(char: str) -> bool:
    """Whether a character is a letter of the Latin alphabets that people write words in."""
    point = ord(char)
    if point < 0x80:
        return char.isalpha()
    if not (0xC0 <= point < 0x250 or 0x1E00 <= point < 0x1F00):
        return False
    if point in (0xD7, 0xF7, 0x17F, 0x132, 0x133, 0x13F, 0x140, 0x149) or 0x1C0 <= point <= 0x1CC:
        return False
    return not 0x1F1 <= point <= 0x1F3


def is_han(char: str) -> bool:
    """Whether a character is an ideograph of Unicode's Han script, or 〇."""
    if "\u4e00" <= char <= "\u9fff":
        return True
    found = properties(char)
    return (found.script == "Han" and found.category == "Lo") or char == "〇"


def base_kind(char: str) -> int:
    """Kinds of a character before any ruleset's lists are looked at."""
    point = ord(char)
    sign = SIGNS.get(char, 0)
    if "\u4e00" <= char <= "\u9fff":
        return sign | Kind.HAN | (Kind.LOOK_ALIKE if char == "丶" else 0)
    if point < 0x80 and char.isalpha():
        return sign | Kind.LATIN
    if char in "ＸＯ":
        return sign | (Kind.LATIN | Kind.ACCENT | Kind.WIDE_LATIN)
    category, script, emoji = properties(char)
    kind = sign
    if point >= 0x80 and not unicodedata.is_normalized("NFC", char):
        compat = script == "Han" and category == "Lo"
        kind |= int(Kind.COMPAT_HAN if compat else Kind.NOT_NFC)
    if category in ("Cn", "Cs") or point & 0xFFFE == 0xFFFE:
        return kind | Kind.BROKEN
    if category == "Co":
        return kind | Kind.PRIVATE
    if 0xFE00 <= point <= 0xFE0F or 0xE0100 <= point <= 0xE01EF or char in "\u180b\u180c\u180d\u180f":
        return kind | Kind.SELECTOR
    if kind & (Kind.INVISIBLE | Kind.BIDI | Kind.LINE_BREAK | Kind.SPACE | Kind.OTHER_SPACE):
        return kind
    if category == "Cc" or char == "\ufffd" or 0xFFF9 <= point <= 0xFFFB or 0xE0000 <= point <= 0xE007F:
        return kind | int(Kind.BROKEN if char == "\ufffd" else Kind.CONTROL)
    pictured = emoji and point > 0xFF and not kind & (Kind.MARK_FORM | Kind.TILDE | Kind.MIDDLE_DOT)
    if pictured or char == KEYCAP:
        return kind | Kind.EMOJI
    if (script == "Han" and category == "Lo") or char == "〇":
        return kind | Kind.HAN
    if category[0] == "M":
        foreign = script not in ("Inherited", "Common")
        return kind | (Kind.COMBINING | Kind.ACCENT) | (Kind.FOREIGN if foreign else 0)
    if script == "Latin" and category[0] == "L":
        return kind | _latin_kind(char, category)
    if kind & ~Kind.MOJIBAKE:
        return kind | ((Kind.LOOK_ALIKE | Kind.FOREIGN) if char in IDENTICAL_TO_HAN else 0)
    if 0x2E80 <= point <= 0x2FDF or 0x31C0 <= point <= 0x31EF:
        return Kind.LOOK_ALIKE
    if char in IDENTICAL_TO_HAN:
        return Kind.LOOK_ALIKE | Kind.FOREIGN
    return kind | _other_kind(point, category, script)


def _latin_kind(char: str, category: str) -> int:
    kind = Kind.LATIN | Kind.ACCENT
    if is_latin(char):
        return kind | (Kind.LOOK_ALIKE if char == "\u0131" else 0)
    if "\uff21" <= char <= "\uff5a" or "\ufb00" <= char <= "\ufb06":
        return kind | Kind.WIDE_LATIN
    if category == "Nl":
        return Kind.OTHER_NUMBER
    return Kind.LOOK_ALIKE | Kind.LATIN | Kind.ACCENT


def _other_kind(point: int, category: str, script: str) -> int:
    if category in ("Nd", "Nl", "No") or 0x3220 <= point <= 0x3247 or 0x3280 <= point <= 0x32B0:
        return Kind.OTHER_NUMBER
    if 0x32C0 <= point <= 0x32CB or 0x3358 <= point <= 0x3370 or 0x33E0 <= point <= 0x33FE:
        return Kind.OTHER_NUMBER  # telegraph symbols for months, hours and days
    if (
        0x3371 <= point <= 0x337A
        or 0x3380 <= point <= 0x33DF
        or 0x3300 <= point <= 0x3357
        or 0x32CC <= point <= 0x32CF
    ):
        return Kind.UNIT
    if category == "Sc":
        return Kind.CURRENCY
    if category == "Sm":
        return Kind.OPERATOR
    if category[0] in "LM" and script not in ("Common", "Inherited"):
        return Kind.FOREIGN
    if category == "Cf":
        return int(Kind.FOREIGN if script not in ("Common", "Inherited") else Kind.CONTROL)
    if category[0] == "L":
        return Kind.FOREIGN
    return Kind.SYMBOL
