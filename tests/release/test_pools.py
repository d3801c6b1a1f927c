"""Prompts are set aside for dev and test before anybody records; the page names every reason."""

from __future__ import annotations

from corpus import prompts
from corpus.database import begin, reading
from protocol.errors import catalogue


def read_by(world, speakers: int) -> dict[int, set[str]]:
    with reading(world.engine) as db:
        return {n: {p.id for p in prompts.for_member(db, "tales", f"S{n:08d}")} for n in range(speakers)}


def add_prompts(world, count: int) -> None:
    world.project()
    with begin(world.engine) as db:
        prompts.add(db, "tales", [(None, f"句子{n}", f"句 子 {n}") for n in range(count)])


def test_with_enough_prompts_voices_read_one_of_three_parts(world):
    """If all read all, one text ties every voice together and nothing can be held out."""
    add_prompts(world, 400)
    parts = {frozenset(ids) for ids in read_by(world, 60).values()}
    assert len(parts) == 3 and sum(len(part) for part in parts) == 400
    assert min(len(part) for part in parts) >= 20


def test_a_small_project_gives_everybody_everything(world):
    add_prompts(world, 60)
    assert {len(ids) for ids in read_by(world, 30).values()} == {60}


def test_those_who_are_no_speakers_see_all_prompts(world):
    add_prompts(world, 400)
    with reading(world.engine) as db:
        assert len(prompts.for_member(db, "tales", None)) == 400


def test_a_voice_keeps_to_the_split_that_a_release_gave_it(world):
    from corpus import tables

    add_prompts(world, 400)
    before = read_by(world, 60)
    train = max(before.values(), key=len)
    number = next(n for n, ids in before.items() if ids == train)
    small = min(before.values(), key=len)
    world.add(
        tables.split,
        project_id="tales",
        kind="speaker",
        value=f"S{number:08d}",
        split="test",
        since_release="r1",
    )
    assert read_by(world, 60)[number] != train and len(read_by(world, 60)[number]) < 100
    assert len(small) < 100


def test_the_page_for_operators_explains_every_reason(root):
    page = (root / "docs/releases.md").read_text(encoding="utf-8")
    for code, entry in catalogue().items():
        if code.startswith("excluded."):
            assert f"| `{code}` | {entry.sentences['en']} |" in page, code
