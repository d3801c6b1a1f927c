"""V003: who speaks is no part of what is said.

A name before a colon is a label; the beginning of a sentence before a colon is not (P005).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, words
from transcribe.rules.verbatim import TAG
from transcribe.text import LETTERS

# What stands before a colon begins a sentence, not a name, if one of these words is in it...
_PHRASE = words(
    "說 讲 講 説 说 叫 喊 是 寫 写 唱 話 话 曰 問 问 答 聽 听 著 着 了 的 嗎 吗 呢 啊 吧 我 你 妳 她 它 佢 "
    "伊 咱 阮 恁 們 们 這 这 那 就 很 不 沒 没 嘛 唔 嘅 咗 侬 看 喝 哭 笑 罵 骂 請 请 首先 最後 最后 另外 "
    "還有 还有 注意 重點 重点 結論 结论 原來 原来 其實 其实 反正 換句 换句 意思 題 题 因為 因为 所以 如果 "
    "例如 比如 比方 譬如 總之 总之 結果 结果 第一 第二 第三 第四 時間 时间 地點 地点 地址 電話 电话 原因 "
    "規則 规则 順序 顺序 方法 條件 条件 目的 缺點 缺点 優點 优点 原則 原则 記得 记得 拜託 拜托 拜拜 謝謝 "
    "谢谢 今天 昨天 明天 天氣 天气 時候 时候 彼時 當時 当时 那時 那时 到時 到时 有時 有时 平時 平时 大家 "
    "各位 老師好 老师好"
)
# ...and these too, unless it looks like a name: 小愛, 林可.
_WEAK = words(
    "道 有 也 都 想 對 对 好 會 会 要 可 能 在 跟 給 给 把 被 讓 让 和 與 与 或 但 而 他 佮 愛 爱 像 比 所 "
    "如 果 總 总 後 后 先 係 因 只 真"
)
_SURNAMES = (
    "王李張张劉刘陳陈楊杨黃黄趙赵吳吴周徐孫孙馬马朱胡林郭何高羅罗鄭郑梁謝谢宋唐許许鄧邓馮冯韓韩曹曾彭蕭萧蔡潘"
    "田董袁于余葉叶蔣蒋杜蘇苏魏程呂吕丁沈任姚盧卢姜鍾钟崔譚谭陸陆汪廖范石金賴赖邱侯方白江洪游簡简詹施柯莊庄顏颜"
)
_NAME = Lazy(f"(?:[小阿老大][^小阿老大]{{1,2}}|[{_SURNAMES}]..?)$")
_TITLES = words(
    "先生 小姐 太太 女士 老師 老师 師父 师父 醫生 医生 醫師 医师 律師 律师 教授 主任 經理 经理 同學 同学 "
    "阿姨 叔叔 伯伯"
)
_HEADS = "[老店校院班家里隊队組组社][長长]|.[員员]|.者"
_TITLED = Lazy(f".{{0,3}}(?:{'|'.join(sorted(_TITLES))}|{_HEADS})$")
_COUNTED = Lazy("[一二兩两三四五六七八九十百半幾几][點点半年月日號号歲岁個个樣样種种件次天句項项部]")
# English sentences that begin with a word and a colon.
_FIGURE = Lazy(f"[0-9０-９{characters.NUMBER_WORDS}{characters.DIGIT_WORDS}]")
_ORDINAL = Lazy("第[0-9０-９一二三四五六七八九十]+$")
_ENGLISH_PHRASE = words(
    "look listen so well okay ok right yes no yeah first second third then and but because remember note "
    "see wait here there this that these those it now next finally also or please thing one two three "
    "problem point result reason example warning"
)
_ROLES = words("speaker interviewer interviewee host guest man woman male female")
_LATIN_WORD = f"(?:[{LETTERS}][\\w{LETTERS}.'-]{{0,24}}|\\d+)"
_LABEL_LATIN = Lazy(f"(?:{_LATIN_WORD} ){{0,2}}{_LATIN_WORD} ?[:：]")


@cache
def _label_han() -> re.Pattern[str]:
    quotes = '「『“"', '」』”"'
    name = f"(?:[{texts.han_class()}]{{1,5}}|[A-Za-z]{{1,2}}) ?[0-9A-Z一二三四五]{{0,3}}"
    return re.compile(f"[{quotes[0]}]?({name})[{quotes[1]}]? ?[:：]")


@rule("V003", stage=Stage.EVENTS, on=Kind.COLON | Kind.BRACKET | Kind.ANGLE, fix="ask")
def speaker_label(text: str, orth: Orthography) -> Iterable[Hit]:
    """No speaker label.

    Why: it is not spoken. Who speaks is known from the segment; two speakers are two segments.
    Bad: ``甲：你好。``
    Good: ``你好。``
    """
    for start in _beginnings(text):
        tag = TAG.match(text, start)
        if tag is not None and _is_role(texts.label_of(tag[1]), orth):
            yield ask(*tag.span(), "")
            continue
        match = _label_han().match(text, start) if orth.han else None
        if match is None or _is_phrase(match[1].strip(), orth):
            match = _LABEL_LATIN.match(text, start)
            if match is None or _is_english_phrase(match[0].rstrip(":： ")):
                continue
        end = match.end()
        if _FIGURE.match(text, end - 2) and _FIGURE.match(text, end):
            continue  # N007: a time, or a score
        while text[end : end + 1] == " ":
            end += 1
        yield ask(start, end, "")


def _beginnings(text: str) -> Iterable[int]:
    for match in re.finditer(r"(?:^|(?<=[。？！.?!]))[\s-]*", text):
        yield match.end()


def _is_role(label: str, orth: Orthography) -> bool:
    return label.rstrip("0123456789 ") in _ROLES or label in orth.speakers


def _is_phrase(label: str, orth: Orthography) -> bool:
    """Whether what stands before a colon begins a sentence rather than names a speaker."""
    bare = label.rstrip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ一二三四五 ")
    if label in orth.speakers or bare in orth.speakers:
        return False
    if len(label) == 1:
        return label in "說説说講讲道曰對对好"
    if any(word in label for word in _PHRASE) or _COUNTED.search(label) or _ORDINAL.match(label):
        return True
    named = _NAME.match(bare) or _TITLED.match(bare)
    return not named and any(word in label for word in _WEAK)


def _is_english_phrase(label: str) -> bool:
    """Whether a label has a word that no name has: one in small letters, or a function word."""
    return any(word[0].islower() or word.casefold() in _ENGLISH_PHRASE for word in label.split())
