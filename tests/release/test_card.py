"""The card is valid for the hub, its pictures are the same everywhere, and it tells of nobody too few."""

from __future__ import annotations

import json
import os
import subprocess
import zlib
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from corpus import card, conditions, fields, header, manifest, plots, projects, raster, statistics
from corpus.database import begin
from corpus.drawing import Drawing, Rect, Text, svg


def pixels(data: bytes) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Colour indexes and palette of a PNG, read by the standard's own steps and the system's inflate."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, {}
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert int.from_bytes(data[at + 8 + length : at + 12 + length], "big") == zlib.crc32(kind + body)
        found[kind] = body
        at += 12 + length
    width, height = (int.from_bytes(found[b"IHDR"][n : n + 4], "big") for n in (0, 4))
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert (rows[:, 0] == 2).all()
    palette = found[b"PLTE"]
    colours = [tuple(palette[n : n + 3]) for n in range(0, len(palette), 3)]
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8), colours


def test_a_rectangle_lies_where_it_was_drawn():
    drawn, palette = pixels(raster.png(Drawing("t", 40, 30, [Rect(5, 7, 10, 4, "#c8553d")])))
    assert drawn.shape == (30, 40)
    inside = np.zeros((30, 40), bool)
    inside[7:11, 5:15] = True
    colours = np.array(palette)[drawn]
    assert (colours[inside] == (0xC8, 0x55, 0x3D)).all() and (colours[~inside] == 255).all()


def test_words_leave_ink_between_their_line_and_their_height():
    drawn, palette = pixels(raster.png(Drawing("t", 200, 40, [Text(100, 30, "Hamburg 0123", "middle")])))
    grey = np.array(palette)[drawn].mean(axis=2)
    ys, xs = np.nonzero(grey < 128)
    assert 19 <= ys.min() <= 22 and 29 <= ys.max() <= 34  # nine above the line, three below it
    assert abs((xs.min() + xs.max()) / 2 - 100) <= 2


def test_every_letter_of_a_label_can_be_told_from_the_others():
    seen = {}
    for letter in raster._STROKES:
        drawn, _ = pixels(raster.png(Drawing("t", 20, 24, [Text(4, 14, letter)])))
        assert seen.setdefault(drawn.tobytes(), letter) == letter


@given(
    st.binary(max_size=3000)
    | st.lists(st.tuples(st.integers(0, 255), st.integers(1, 700))).map(
        lambda runs: b"".join(bytes([value]) * count for value, count in runs)
    )
)
def test_what_is_packed_here_any_inflate_unpacks(data):
    """RFC 1951: the stream is ours, so that no version of a library moves its bytes."""
    if data:
        assert zlib.decompress(raster._deflated(data), -15) == data


def test_plots_say_the_same_as_svg_and_as_png(a_line):
    stats = statistics.gather(
        a_line(number, dialect=("coast", "海口腔")[number % 2], snr_db=float(number))
        for number in range(1, 40)
    )
    made = plots.plots(stats)
    assert made == plots.plots(stats)
    names = {Path(name).stem for name in made}
    assert names == {"snr", "duration", "hours-by-grade", "hours-by-dialect"}
    for name in names:
        root = ElementTree.fromstring(made[f"plots/{name}.svg"].decode())
        assert root.tag.endswith("svg")
        drawn, palette = pixels(made[f"plots/{name}.png"])
        assert drawn.shape == (300, 640)
        # The colours of the bars are those of the SVG's rectangles.
        fills = {e.get("fill") for e in root.iter("{http://www.w3.org/2000/svg}rect")} - {"#ffffff"}
        there = {"#{:02x}{:02x}{:02x}".format(*palette[index]) for index in np.unique(drawn)}
        assert fills <= there
    assert "海口腔" in made["plots/hours-by-dialect.svg"].decode()


def test_a_label_that_is_markup_is_inert():
    drawing = plots.bars("<b>", "a&b", ["<script>"], {"x'": [1.0]})
    assert "<script>" not in svg(drawing).decode() and ElementTree.fromstring(svg(drawing).decode())


@pytest.fixture
def readme(cut_world) -> tuple[dict, str]:
    text = (cut_world.shelf.path("r1") / "README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_head_is_yaml_that_the_hub_knows(readme):
    head, _ = readme
    assert head["license"] == "cc-by-4.0" and head["language"] == ["cmn"]
    assert head["task_categories"] == ["automatic-speech-recognition"] and head["size_categories"] == ["n<1K"]
    (config,) = head["configs"]
    (files,) = config["data_files"]
    assert files["path"] == "manifest.parquet" and files["split"] not in ("all", "train")  # both mean more


@pytest.mark.parametrize("title", ['yes: "no"', "- [x] {y}", "#hash", "'", "海口 \\ 故事", "a\u2028b"])
def test_any_title_leaves_the_head_valid(title, world):
    world.project(title=title)
    world.clip(world.speaker())
    text = (world.cut().folder / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(text.split("---\n", 2)[1])["pretty_name"] == title


@pytest.mark.parametrize("title", ["海口 {x}", "}} @misc{y,", "```", "a_b & c #1 $x %", "\\"])
def test_any_title_leaves_the_citation_whole(title, world):
    """Braces close an entry, backticks close the block that it stands in."""
    world.project(title=title)
    world.clip(world.speaker())
    text = (world.cut().folder / "README.md").read_text(encoding="utf-8")
    entry = text.split("```bibtex\n")[1].split("```")[0]
    depth = [entry[:end].count("{") - entry[:end].count("}") for end in range(1, len(entry))]
    assert entry.startswith("@misc{r1,\n") and depth[-1] == 0 and set(depth[5:-3]) <= {1, 2, 3}
    assert "year = {2027}" in entry and "version = {r1, revision 1}" in entry


def test_a_title_does_not_turn_its_line_around(world):
    """After U+202E the rest of a line is shown backwards: a licence, a count, a digest."""
    world.project(title="\u202eevil \u2067x\x00 क्\u200dष")
    world.clip(world.speaker())
    body = (world.cut().folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    assert not any(c in body for c in "\u202e\u2067\x00") and "# evil x क्\u200dष: r1" in body


def test_the_card_says_how_many_people_transcribed(a_line):
    stats = statistics.gather(a_line(transcribers=count) for count in (2, 2, 2, 1))
    assert card._transcribers(stats.seen["transcribers"]) == "two people 75 %, one person 25 %"


def test_digests_of_the_proof_can_be_had_with_a_shell(cut_world, readme):
    _, body = readme
    lines = list(manifest.read(cut_world.shelf.path("r1") / "manifest.jsonl"))
    for split in manifest.SPLITS:
        names = "".join(f"{line.speaker_id}\n" for line in lines if line.split == split)
        done = subprocess.run(
            "LC_ALL=C sort -u | sha256sum", shell=True, input=names.encode(), capture_output=True, check=True
        )
        assert f"| `speaker_id` | {split} | `{done.stdout.split()[0].decode()}` |" in body


def test_the_card_says_what_was_reached_in_each_stratum(a_line):
    """A note that is wrong of a stratum misleads whoever reads the results on it."""
    plan = [
        ("coast", "train", 4),
        ("coast", "dev", 1),
        ("coast", "test", 1),
        ("hill", "train", 3),
        ("isle", "test", 2),
    ]
    voices = [(dialect, split) for dialect, split, speakers in plan for _ in range(speakers)]
    stats = statistics.gather(
        a_line(number, speaker_id=f"S{number:08d}", dialect=dialect, split=split)
        for number, (dialect, split) in enumerate(voices, start=1)
    )
    assert card.stratum_notes(stats) == [
        "hill / female: train only (3 speakers, fewer than 5)",
        "isle / female: in test only (2 speakers, fewer than 5)",
    ]
    assert card.notes_of_corpus(["test is empty: x", *card.stratum_notes(stats)]) == ["test is empty: x"]


def test_notes_and_tables_name_no_dialect_that_is_withheld(world):
    world.villages(speakers=8)
    rare = world.speaker(gender="other", dialect="Hillspeak")
    world.clip(rare, "山上的話。")
    done = world.cut(privacy_k=3)
    for path in done.folder.rglob("*"):
        assert not path.is_file() or b"Hillspeak" not in path.read_bytes(), path
    told = Counter()
    for row in (json.loads(line) for line in (done.folder / "speakers.jsonl").open(encoding="utf-8")):
        told[tuple(row[key] for key in ("gender", "dialect", "age_band", "region", "native_language"))] += 1
    assert min(told.values()) >= 3


def test_croissant_names_every_field_and_the_splits(cut_world):
    raw = json.loads((cut_world.shelf.path("r1") / "croissant.json").read_bytes())
    splits, *records = raw["recordSet"]
    assert [row["splits/name"] for row in splits["data"]] == list(manifest.SPLITS)
    rows = {"clips": manifest.Line, "speakers": header.Speaker, "rooms": header.Room}
    assert [one["name"] for one in records] == list(rows)
    for one in records:
        assert [field["name"] for field in one["field"]] == list(rows[one["name"]].__struct_fields__)
        assert all(field["description"] for field in one["field"])
    for entry in raw["distribution"][:-1]:
        assert entry["sha256"] == manifest_digest(cut_world.shelf.path("r1") / entry["contentUrl"])


@pytest.mark.parametrize(
    ("meanings", "row"),
    [(fields.CLIP, manifest.Line), (fields.ROOM, header.Room), (fields.SPEAKER, header.Speaker)],
)
def test_every_field_is_explained_in_its_order(meanings, row):
    assert list(meanings) == list(row.__struct_fields__)


def words(cut) -> str:
    return (cut.folder / "README.md").read_text(encoding="utf-8")


def test_the_card_gives_the_bands_of_the_grades():
    """The limits as they stand in noise_profiles/profiles.toml."""
    told = conditions.bands(["everyday 1"])
    for row in (
        "| everyday 1 | quiet | 25 to 60 | 0 to 40 |",
        "| everyday 1 | moderate | 10 to 25 | 50 to 60 |",
        "| everyday 1 | noisy | 0 to 10 | 65 to 75 |",
    ):
        assert row in told
    assert "at most 1 dB" in told


@pytest.mark.parametrize("name", ["everyday 0", "barn 1", "<b>", "everyday"])
def test_bands_that_are_not_known_are_not_guessed(name):
    """Another version of a profile may have other limits."""
    told = conditions.bands([name])
    assert "not known" in told and "25 to 60" not in told and "<b>" not in told.replace("\\<", "")


def test_the_card_names_whom_to_ask_or_says_that_nobody_is_named(world):
    world.project()
    world.clip(world.speaker())
    assert "Contact: The project names no contact" in words(world.cut("r1"))
    with begin(world.engine) as db:
        projects.set_contact(db, "tales", "Corpus desk, corpus@example.org [x](y)")
    world.clip(world.speaker(), "另外一句話。")
    told = words(world.cut("r2"))
    assert "Contact: Corpus desk, corpus@example.org \\[x\\](y)" in told


@pytest.mark.parametrize("contact", ["", "  ", "two\nlines", "x" * 201, "\u202eevil"])
def test_a_contact_is_one_line_that_can_be_read(contact, world):
    world.project()
    with begin(world.engine) as db, pytest.raises(projects.ProjectInvalid, match="contact"):
        projects.set_contact(db, "tales", contact)


def test_each_version_of_the_consent_is_quoted_for_its_clips(a_line):
    """Who uses a clip must see the words that its speaker agreed to, not those that came later."""
    lines = [a_line(1), a_line(2), a_line(3, consent_version="consent-2", license="CC0-1.0")]
    stats = statistics.gather(lines)
    told = card._consents(stats, card.Words({"consent-1": "one\n\n# two", "consent-2": "three"}, "terms"))
    assert told == (
        "`consent-1`, licence CC-BY-4.0, 2 clips:\n\n> one\n>\n> \\# two\n\n"
        "`consent-2`, licence CC0-1.0, 1 clip:\n\n> three\n"
    )


def test_the_card_tells_what_was_paid(world):
    world.project()
    world.clip(world.speaker())
    terms = {"version": "t2", "text": "Paid.", "currency": "TWD", "rate_per_s": "0.5", "rate_per_clip": "2"}
    assert "Pay: the terms name no rate." in words(world.cut("r1"))
    with begin(world.engine) as db:
        projects.revise(db, "tales", "terms", terms, now_ms=5)
    world.clip(world.speaker(), "另外一句話。")
    assert "Pay: 0.50 TWD for each accepted second, and 2.00 TWD for each accepted clip." in words(
        world.cut("r2")
    )


def test_the_speaker_table_says_no_more_than_the_lines(cut_world, readme):
    _, body = readme
    for row in (cut_world.shelf.path("r1") / "speakers.jsonl").open(encoding="utf-8"):
        one = json.loads(row)
        (found,) = [line for line in body.splitlines() if line.startswith(f"| `{one['speaker_id']}` |")]
        cells = [cell.strip() for cell in found.strip("|").split("|")]
        told = [one[name] or "" for name in ("gender", "age_band", "region", "native_language", "dialect")]
        assert cells[1:3] == [one["split"], str(one["clips"])] and cells[4:] == told


def test_lengths_and_sizes_have_units_that_fit(a_line):
    stats = statistics.gather(a_line(n, samples=16_000 * seconds) for n, seconds in enumerate((2, 1, 6), 1))
    assert conditions.lengths(stats) == "3.0 s on average, 1.0 s to 6.0 s"
    sizes = (0, 950, 6_590_000, 999_000_000, 12_300_000_000, 4 * 10**12)
    assert [statistics.size(n) for n in sizes] == ["0 kB", "0.95 kB", "6.59 MB", "999 MB", "12.3 GB", "4 TB"]


def manifest_digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


READERS = """
import json, sys
import mlcroissant

folder = sys.argv[1]
dataset = mlcroissant.Dataset(jsonld=folder + "/croissant.json")
problems = dataset.metadata.ctx.issues
assert not problems.errors and not problems.warnings, (problems.errors, problems.warnings)
croissant = [row["clips/id"].decode() for row in dataset.records("clips")]
rooms = [
    [row["rooms/session_id"].decode(), row["rooms/noise_dbfs"], *map(float, row["rooms/third_octaves_dbfs"])]
    for row in dataset.records("rooms")
]
speakers = [row["speakers/speaker_id"].decode() for row in dataset.records("speakers")]

import datasets

loaded = datasets.load_dataset(folder, cache_dir=sys.argv[2])
print(json.dumps([croissant, rooms, speakers, list(loaded), loaded["clips"]["id"][:]]))
"""


@pytest.mark.toolkit
def test_mlcroissant_and_datasets_read_a_release_as_it_is(cut_world, root, tmp_path):
    python = Path(os.environ.get("XIANGYIN_TOOLKITS_PYTHON") or root / ".venv-toolkits/bin/python")
    tone = {"noise_dbfs": -52.5, "noise_dba_fs": -61.25, "duration_s": 1.9, "method": "xiangyin-3"}
    bands = [-70.25 + band for band in range(26)]
    cut_world.clip(
        cut_world.speaker(), "這一句有房間。", meta={"room_tone": {**tone, "third_octaves_dbfs": bands}}
    )
    folder = cut_world.cut("r2").folder
    has = [str(python), "-c", "import mlcroissant, datasets"]
    if not python.exists() or subprocess.run(has, capture_output=True).returncode:
        pytest.skip("mlcroissant and datasets live in .venv-toolkits; make it with `make toolkits`")
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    words = [str(python), "-c", READERS, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(words, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    by_croissant, rooms, speakers, names, by_datasets = msgspec.json.decode(done.stdout.splitlines()[-1])
    rows = {name: (folder / f"{name}.jsonl").read_bytes().splitlines() for name in ("sessions", "speakers")}
    (room,) = (msgspec.json.decode(row) for row in rows["sessions"])
    assert rooms == [[room["session_id"], -52.5, *bands]]
    assert speakers == [msgspec.json.decode(row)["speaker_id"] for row in rows["speakers"]]
    ids = [line.id for line in manifest.read(folder / "manifest.jsonl")]
    assert by_croissant == by_datasets == ids and names == ["clips"]
