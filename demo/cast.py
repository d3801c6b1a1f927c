"""Who takes part in the demonstration, what they read, and under which noise."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.clip import Grade


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker.

    `voice` is espeak-ng's; `sentences` are indices into the project's prompts.
    """

    name: str
    gender: str
    voice: str
    words_per_minute: int
    pitch: int
    sentences: tuple[int, ...]


@dataclass(frozen=True)
class Collection:
    """One project of the demonstration; its speakers come from `region`.

    `wrong` maps a sentence to how a hurried transcriber types it: format faults that the rules mend or
    refuse. `heard` maps a sentence to what the second person hears: a word that differs.
    """

    slug: str
    title: str
    language: str
    region: str
    orthography: str
    prompts: tuple[str, ...]
    voices: tuple[Voice, ...]
    wrong: dict[int, str]
    heard: dict[int, str]


@dataclass(frozen=True)
class Condition:
    """A recording condition: the grade asked for, the SNR that is mixed, and the noise.

    `fits` says whether the recorder ought to accept it for that grade.
    """

    grade: Grade
    snr_db: float
    noise: str
    fits: bool = True


CONDITIONS = (
    Condition("quiet", 32.0, "pink_noise"),
    Condition("moderate", 17.0, "fan"),
)
# One speaker tries to pass café noise off as quiet, and learns at once why not.
TOO_NOISY = Condition("quiet", 12.0, "babble", fits=False)

# Told in one breath: long enough that its upload is several chunks.
FREE_TALK = (
    "我細個嗰陣住喺海邊，阿爸係漁民，每日天未光就出海。"
    "我哋幾個細路成日喺沙灘度執貝殼，執到成身都係沙。"
    "到咗夜晚，阿媽會煮一大鍋魚湯，成條街都聞到香味。"
    "而家嗰度起晒高樓，不過我一聞到魚湯，就會諗返起嗰啲日子。"
)

CANTONESE = Collection(
    slug="demo-yue",
    title="Cantonese, read speech",
    language="yue-Hant-HK",
    region="Hong Kong",
    orthography="yue-Hant",
    prompts=(
        "我哋聽日去飲茶，好唔好？",
        "今晚落好大雨，記得帶遮。",
        "呢間餐廳嘅燒鵝好出名。",
        "我阿媽朝早去咗街市買餸。",
        "唔該借一借，我要落車。",
        "嗰度有好多人排隊呀！",
        "我細個嗰陣成日去海邊玩。",
        "今日真係好熱，想飲凍檸茶。",
    ),
    voices=(
        Voice("yue-1", "female", "yue+f2", 150, 55, (0, 1)),
        Voice("yue-2", "male", "yue+m3", 140, 45, (2, 3)),
        Voice("yue-3", "female", "yue+f4", 160, 60, (4, 5)),
        Voice("yue-4", "male", "yue+m1", 150, 40, (6, 7)),
    ),
    wrong={
        0: "我哋聽日去飲茶,好唔好??",
        1: "今晚落好大雨、記得帶遮。",
        2: "呢間餐廳嘅「燒鵝」好出名。",
        4: "唔該借一借，我要落車",
        7: "今日真係 好熱，想飲凍檸茶。",
    },
    heard={3: "我阿媽今朝去咗街市買餸。"},
)

MANDARIN = Collection(
    slug="demo-cmn",
    title="Taiwanese-accented Mandarin, read speech",
    language="cmn-Hant-TW",
    region="Tainan",
    orthography="zh-Hant",
    prompts=(
        "我明天要去台南看阿嬤。",
        "這家店的牛肉麵很好吃，你要不要試試看？",
        "外面在下雨，記得帶傘。",
        "他昨天晚上三點半才睡。",
        "下一站是台北車站嗎？",
        "哇，今天的夕陽好漂亮！",
    ),
    voices=(
        Voice("cmn-1", "female", "cmn+f3", 150, 55, (0, 1)),
        Voice("cmn-2", "male", "cmn+m7", 145, 45, (2, 3)),
        Voice("cmn-3", "female", "cmn+f5", 155, 60, (4, 5)),
    ),
    wrong={
        1: "這家店的牛肉麵很好吃,你要不要試試看?",
        3: "他昨天晚上3點半才睡。",
        5: "哇！！今天的夕陽好漂亮！",
    },
    heard={},
)

COLLECTIONS = (CANTONESE, MANDARIN)
