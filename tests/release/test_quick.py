"""The check by columns refuses what the check of lines refuses, and sees every leak wherever it stands."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from corpus import manifest, quick, rowgroups
from corpus.flat import Flat
from corpus.manifest import Event, audio_path
from corpus.rowgroups import Columns


def found(lines) -> list[quick.Trouble]:
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "m.parquet")
        with Columns(target) as columns:
            for line in lines:
                columns.add(manifest.encode(line) + b"\n")
        return list(quick.check(target))


CHANGES = {
    "an id with a dot": {"id": "S00000001-a.b"},
    "an id with two dashes": {"id": "S00000001--2"},
    "an id that ends in a dash": {"id": "S00000001-2-"},
    "an id that is too long": {"id": "S00000001-" + "2" * 91},
    "another speaker's id": {"speaker_id": "S2"},
    "an id that is its speaker's and no more": {"id": "S00000001-"},
    "a speaker with a dash": {"speaker_id": "S00000001-0"},
    "a digest in capitals": {"sha256": "A" * 64, "audio": audio_path("A" * 64)},
    "a digest that is short": {"sha256": "a" * 63, "audio": audio_path("a" * 63)},
    "another file's audio": {"audio": audio_path("0" * 64)},
    "a way out of the folder": {"audio": "../../etc/passwd"},
    "a hash of samples that is none": {"pcm_md5": "g" * 32},
    "no bytes": {"bytes": 0},
    "no samples": {"samples": 0, "duration_s": 0.0},
    "no rate": {"sample_rate_hz": 0},
    "no channels": {"channels": 0},
    "a negative channel": {"channel": -1},
    "a negative start": {"start_sample": -1},
    "nobody who wrote it": {"transcribers": 0},
    "a duration off by a microsecond": {"duration_s": 1.000126},
    "an empty text": {"text": ""},
    "a text of wide spaces": {"text": "\u3000\u3000"},
    "a line break in the text": {"text": "a\nb"},
    "a control of the second kind": {"text": "a\x85b"},
    "a separator of lines": {"text": "a\u2028b"},
    "a language that is none": {"language": "x"},
    "a glottocode that is none": {"glottocode": "amoy123"},
    "a session with a slash": {"session_id": "a/b"},
    "a recording with a space": {"recording_id": "a b"},
    "an empty recording": {"recording_id": ""},
    "a day that is none": {"recorded_on": "2026-13-01"},
    "a licence that is none": {"license": "CC BY"},
    "an event beyond the end": {"events": (Event(0.5, 99.0, "cough"),)},
    "an event that ends first": {"events": (Event(0.5, 0.25, "cough"),)},
    "an event before the start": {"events": (Event(-0.5, 0.25, "cough"),)},
    "an event without a label": {"events": (Event(0.0, 0.25, "cough"), Event(0.5, 0.75, ""))},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_bad_field_is_found_in_its_row(name, a_line):
    bad = msgspec.structs.replace(a_line(2), **CHANGES[name])
    assert manifest.problem(bad) is not None
    assert 2 in {trouble.line for trouble in found([a_line(1), bad, a_line(3)])}


@pytest.mark.parametrize(("name", "value"), [("split", "valid"), ("grade", "silent"), ("style", "sung")])
def test_a_word_that_is_none_of_those_there_are_is_found(name, value, a_line):
    bad = msgspec.structs.replace(a_line(2), **{name: value})
    assert (2, name) in {(one.line, one.detail.split()[0]) for one in found([a_line(1), bad])}


def test_good_lines_are_good_whatever_their_lengths(a_line):
    """Speakers of two lengths, texts of one byte and of many, letters outside the first plane, events."""
    texts = ["好", "a b c", "𠀀𠀁 x", "長" * 900, "\u00a9 \u2030", "é"]
    more = {"events": (Event(0.0, 1.0, "[laugh]"),), "glottocode": "amoy1234", "channel": 3}
    lines = [a_line(n, text=text, speaker_id=f"S{10**n}", **more) for n, text in enumerate(texts, 1)]
    lines.sort(key=lambda line: line.id)
    assert all(manifest.problem(line) is None for line in lines)
    assert found(lines) == []
    assert found([]) == []


@given(
    st.sampled_from(
        ["id", "speaker_id", "session_id", "recording_id", "text", "license", "language", "pcm_md5"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_what_a_line_may_not_hold_columns_may_not_hold(a_line, name, value, keeps_begin):
    """If the quick check let through what the other refuses, its answer would be worth nothing."""
    line = a_line(1)
    value = getattr(line, name)[:12] + value if keeps_begin else value
    bad = msgspec.structs.replace(line, **{name: value})
    if manifest.problem(bad) is not None:
        assert found([bad])


@pytest.mark.parametrize("rows", [1, 2, 10_000])
def test_a_leak_is_seen_in_one_group_of_rows_and_across_them(rows, a_line, monkeypatch):
    monkeypatch.setattr(rowgroups, "_ROW_GROUP", rows)
    train = a_line(1, prompt_id="p1", style="read")
    apart = {"speaker_id": "S00000002", "session_id": "s2", "split": "test", "text": "另外一句話。"}
    for kind, shared in (
        ("session_id", {"session_id": train.session_id}),
        ("recording_id", {"recording_id": train.recording_id}),
        ("prompt_id", {"prompt_id": "p1"}),
        ("read text", {"style": "read", "text": train.text}),
    ):
        told = found([train, a_line(2), a_line(3, **apart | shared)])
        assert [(one.line, one.detail) for one in told] == [(3, f"its {kind} stands in two splits")]
    told = found([train, a_line(2, split="dev")])
    assert "its speaker_id stands in two splits" in {one.detail for one in told}
    told = found([train, a_line(2), a_line(3, pcm_md5=train.pcm_md5)])
    assert [(one.line, one.detail) for one in told] == [(3, "the same sound stands twice")]
    assert [one.line for one in found([a_line(1), a_line(3), a_line(2)])] == [3]
    assert found([train, a_line(2), a_line(3, **apart)]) == []


def test_a_field_that_is_missing_is_found(a_line, tmp_path):
    """Columns can hold nothing where a line cannot."""
    table = pa.Table.from_pylist(
        [msgspec.to_builtins(a_line(n)) for n in (1, 2, 3)], schema=manifest.columns()
    )
    for name in ("id", "text", "samples", "snr_db", "split", "license", "speaker_id", "events"):
        column = pa.array([None if n == 1 else one for n, one in enumerate(table[name].to_pylist())])
        place = table.column_names.index(name)
        holed = table.set_column(place, name, column.cast(table.schema.field(name).type))
        parquet.write_table(holed, tmp_path / "m.parquet")
        told = {(one.line, one.detail) for one in quick.check(tmp_path / "m.parquet")}
        assert (2, f"{name} is missing") in told


def test_other_columns_are_no_manifest(a_line, tmp_path):
    table = pa.Table.from_pylist([msgspec.to_builtins(a_line(1))], schema=manifest.columns())
    parquet.write_table(table.drop_columns(["text"]), tmp_path / "m.parquet")
    assert [one.line for one in quick.check(tmp_path / "m.parquet")] == [None]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)))
def test_a_text_has_the_same_number_wherever_it_stands(texts):
    texts += ["長" * 200, "x" * 512, "x" * 513]
    together = Flat.of(pa.array(texts)).hashes()
    alone = [int(Flat.of(pa.array([text])).hashes()[0]) for text in texts]
    assert together.tolist() == alone
    assert len(np.unique(together)) == len(set(texts))
