"""Texts that are nearly the same stand on one side, or one of them is left out by name."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import near
from corpus.columns import Fixed, Gatherer, unit_key
from corpus.manifest import SPLITS
from corpus.placing import place
from corpus.split import Plan


def sentences(count: int, seed: int, length: int = 22) -> list[str]:
    dice = random.Random(seed)
    return ["".join(chr(0x4E00 + dice.randrange(4000)) for _ in range(length)) for _ in range(count)]


def changed(text: str, place: int = 10) -> str:
    return text[:place] + "變" + text[place + 1 :]


def signatures(tmp_path, texts: list[str]) -> near.Signatures:
    made = near.Signatures(tmp_path / "keys")
    keys = near.keys(texts)
    for number in range(len(texts)):
        made.add(keys[number * near.ROW_BYTES : (number + 1) * near.ROW_BYTES])
    made.close()
    return made


@pytest.mark.parametrize(
    ("one", "other", "near_"),
    [
        ("今天天氣真好我們去海邊", "今天天氣真好我們去海邊啊", True),  # 10 of 11 pairs
        ("今天天氣真好我們去海邊", "今天 天氣，真好 我們去海邊", True),
        ("今天天氣真好我們去海邊", "明天早上八點要開會請準時", False),
        ("今天天氣真好我們", "今天天氣很好我們", False),  # 5 of 9 pairs
        ("嗯", "嗯", True),
        ("", "", False),
    ],
)
def test_nearness_counts_pairs_of_letters(one, other, near_):
    assert near.is_near(one, other) is near_


def test_one_letter_of_twenty_two_is_found_among_thousands(tmp_path):
    """19 of 23 pairs: 0.826. The expected pairs are known, because they were made."""
    texts = sentences(3000, 1)
    texts += [changed(text) for text in texts[:200]]
    side = np.arange(len(texts))
    found = signatures(tmp_path, texts).pairs(side, lambda some: [texts[i] for i in some])
    assert {tuple(pair) for pair in found.tolist()} == {(i, 3000 + i) for i in range(200)}


def test_texts_of_one_side_are_not_compared(tmp_path):
    texts = sentences(50, 2)
    texts += [changed(text) for text in texts]
    side = np.arange(100) % 50
    found = signatures(tmp_path, texts).pairs(side, lambda some: [texts[i] for i in some])
    assert len(found) == 0


@pytest.mark.parametrize("members", [37, 1 << 18])
def test_pairs_do_not_depend_on_how_many_texts_memory_holds_at_once(tmp_path, monkeypatch, members):
    """What is released must be the same on a small machine; the expected pairs come from comparing all."""
    texts = sentences(300, 9, length=12)
    texts += [changed(text, 11) for text in texts[:60]] + ["", "嗯"]
    side = np.array([n % 7 - 1 for n in range(len(texts))])
    made = signatures(tmp_path, texts)
    monkeypatch.setattr(near, "_MEMBERS", members)
    found = made.pairs(side, lambda some: [texts[i] for i in some])
    expected = {
        (i, j)
        for j, other in enumerate(texts)
        for i in range(j)
        if -1 not in (side[i], side[j]) and side[i] != side[j] and near.is_near(texts[i], other)
    }
    assert expected and {tuple(pair) for pair in found.tolist()} == expected


def test_no_texts_have_no_pairs(tmp_path):
    made = signatures(tmp_path, [])
    assert made.pairs(np.empty(0, np.int64), lambda some: []).shape == (0, 2)
    assert made.compared(np.empty(0, bool)) == 0


_FEW = st.text("天地人日月山", min_size=6, max_size=40)


@given(_FEW, st.lists(st.tuples(st.integers(0, 39), st.sampled_from("天地人日月山")), max_size=3))
def test_a_sketch_never_parts_texts_that_are_near(text, changes):
    """It may leave strangers to be read, but a near pair that it dropped would be a leak nobody sees."""
    letters = list(text)
    for at, letter in changes:
        letters[at % len(letters)] = letter
    other = "".join(letters)
    rows = np.frombuffer(near.keys([text, other]), np.uint64).reshape(2, -1)[:, near.BANDS :]
    may = bool(near._may_be_near(rows[:1], rows[1:])[0])
    assert may or not near.is_near(text, other)
    assert int(rows[0, -1]) == len({text[n : n + 2] for n in range(len(text) - 1)})


def placed(tmp_path, texts, speakers, fixed=(), released=(), plan=None):
    gathered = Gatherer()
    for who in speakers:
        gathered.add(who, {}, stratum=("a",), cell=("quiet",), duration_ms=4000)
    chosen = np.zeros(len(texts), bool)
    chosen[list(released)] = True
    done = place(
        gathered.clips(),
        Fixed(fixed),
        plan or Plan(),
        signatures(tmp_path, texts),
        lambda some: [texts[i] for i in some],
        dropped=np.zeros(len(texts), bool),
        released=chosen,
    )
    for i, one in enumerate(texts):
        for j in range(i):
            if done.labels[i] != done.labels[j] and min(done.labels[i], done.labels[j]) >= 0:
                assert not near.is_near(one, texts[j])
    return done


def test_two_voices_with_nearly_the_same_texts_go_together(tmp_path):
    texts = sentences(400, 3)
    speakers = [f"s{n // 10}" for n in range(400)]
    texts += [changed(text) for text in texts[:10]]  # a new voice repeats the first one
    done = placed(tmp_path, texts, [*speakers, *["s40"] * 10])
    assert done.left_out == {} and (done.labels >= 0).all()
    assert len(set(done.labels[:10]) | set(done.labels[400:])) == 1
    assert {SPLITS[label] for label in done.labels} == {"train", "dev", "test"}


def test_a_few_like_texts_of_many_voices_do_not_tie_them_all_together(tmp_path):
    """Each voice nearly repeats one sentence of the next: as one group nothing could be held out."""
    texts = sentences(400, 4)
    for voice in range(39):
        texts[voice * 10] = changed(texts[voice * 10 + 19])
    done = placed(tmp_path, texts, [f"s{n // 10:02d}" for n in range(400)])
    share = [(done.labels == place).mean() for place in range(3)]
    assert share[1] > 0.05 and share[2] > 0.05
    assert 0 < len(done.left_out) < 20


def test_a_new_text_like_a_tested_one_follows_it_or_is_left_out(tmp_path):
    texts = sentences(40, 5)
    texts += [changed(texts[0]), changed(texts[1])]
    fixed = [(unit_key("speaker", f"s{n}"), "test" if n == 0 else "train") for n in range(40)]
    speakers = [f"s{n}" for n in range(40)]
    # A voice that trains already nearly repeats what is tested: the released clip stays.
    done = placed(tmp_path, texts, [*speakers, "s5", "new"], fixed, released=range(40))
    assert done.left_out == {40: 0} and SPLITS[done.labels[0]] == "test"
    assert SPLITS[done.labels[41]] == "train"
    # A new voice has no place yet and goes where its like is.
    done = placed(tmp_path, texts, [*speakers, "new", "new2"], fixed, released=range(40))
    assert done.left_out == {} and SPLITS[done.labels[40]] == "test"


def test_templates_stay_whole_in_train(tmp_path):
    """Where everything repeats everything, leaving out would throw the corpus away."""
    base = sentences(1, 6, length=60)[0]
    texts = [base[:-1] + chr(0x5000 + n) for n in range(40)]
    done = placed(tmp_path, texts, [f"s{n // 4}" for n in range(40)])
    assert len(done.left_out) <= 8


def test_the_order_of_rows_moves_nobody(tmp_path):
    texts = sentences(100, 7)
    texts += [changed(text) for text in texts[:30]]
    speakers = [f"s{n % 26}" for n in range(130)]
    done = placed(tmp_path, texts, speakers)
    order = list(range(130))
    random.Random(8).shuffle(order)
    mixed = placed(tmp_path, [texts[n] for n in order], [speakers[n] for n in order])
    assert [int(done.labels[n]) for n in order] == mixed.labels.tolist()
