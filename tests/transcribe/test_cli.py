"""`xiangyin lint`, `rules` and `agreement`, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def run(*args: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "xiangyin", *args], input=stdin, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in text.splitlines()]


def test_json_has_the_published_fields() -> None:
    stdin = '{"id": "a", "text": "我等一下要出門,你先吃.", "speech_s": 3.5}\n'.encode()
    status, out, _ = run("lint", "-", "--ruleset", "zh-Hant", "--format", "json", stdin=stdin)
    (row,) = json_lines(out)
    assert status == 1
    assert row["id"] == "a" and row["fixed"] == "我等一下要出門，你先吃。" and row["clean"] is True
    first = row["findings"][0]
    assert set(first) == {"code", "severity", "start", "end", "message", "fix", "suggestions"}
    assert (first["code"], first["start"], first["end"]) == ("P001", 7, 8)
    assert first["fix"] == {"text": "，", "safe": True}


def test_a_clean_file_is_status_0_and_silent(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("我來。\n你呢？\n", encoding="utf-8")
    assert run("lint", str(path), "--ruleset", "zh-Hant") == (0, "", "")


def test_one_bad_line_never_stops_the_rest() -> None:
    stdin = b'{"text": "\xe6\x88\x91"}\n\xff\xfe\n[1]\nnot json\n{"id": 7}\n{"text": 3}\n'
    stdin += (
        b'{"text": "\\ud800"}\n{"text": "a\\u0000b"}\n{"text": "x", "speech_s": "y"}\n'
        + '{"text": "好。"}\n'.encode()
    )
    status, out, _ = run("lint", "--ruleset", "zh-Hant", "--format", "json", stdin=stdin)
    rows = json_lines(out)
    codes = [
        row["error"]["code"] if "error" in row else row["findings"][0]["code"] if row["findings"] else ""
        for row in rows
    ]
    assert status == 1
    assert codes == [
        "P009", "LINE_NOT_UTF8", "LINE_NOT_JSON", "LINE_NOT_JSON", "LINE_FIELD_INVALID", "LINE_FIELD_INVALID",
        "C008", "C009", "LINE_FIELD_INVALID", "",
    ]  # fmt: skip
    assert rows[1]["error"]["line"] == 2 and rows[1]["error"]["offset"] == 0


def test_a_brace_alone_does_not_make_it_json() -> None:
    status, out, _ = run(
        "lint", "--ruleset", "zh-Hant", "--format", "json", stdin="{cough}我不行了。\n".encode()
    )
    (row,) = json_lines(out)
    assert (status, row["fixed"]) == (1, "我不行了。")
    assert row["events"] == [{"label": "cough", "at": 0}]


def test_fix_mends_in_place_and_leaves_what_it_must(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeff我來,你走.\r\n我家在3樓,\r\n".encode() + b"\xff\r\n")
    status, out, _ = run("lint", str(path), "--ruleset", "zh-Hant", "--fix")
    assert status == 1 and "N001" in out and "LINE_NOT_UTF8" in out
    assert path.read_bytes() == "我來，你走。\r\n我家在3樓,\r\n".encode() + b"\xff\r\n"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_fix_keeps_the_other_fields_and_adds_the_events(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "x", "text": "[noise]好.", "take": 3}\n', encoding="utf-8")
    assert run("lint", str(path), "--ruleset", "zh-Hant", "--fix")[0] == 0
    (row,) = json_lines(path.read_text(encoding="utf-8"))
    assert row == {"id": "x", "text": "好。", "take": 3, "events": [{"label": "noise", "at": 0}]}


def test_fix_filters_from_stdin_to_stdout() -> None:
    status, out, err = run("lint", "-", "--ruleset", "zh-Hant", "--fix", stdin="我來.\n我3\n".encode())
    assert (status, out) == (1, "我來。\n我3\n") and "N001" in err


def test_diff_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("我來.\n", encoding="utf-8")
    status, out, _ = run("lint", str(path), "--ruleset", "zh-Hant", "--fix", "--diff")
    assert status == 1 and "-我來." in out and "+我來。" in out
    assert path.read_text(encoding="utf-8") == "我來.\n"


def test_select_ignore_statistics_and_github() -> None:
    text = "我家在3樓,\n".encode()
    assert "N001" not in run("lint", "--ruleset", "zh-Hant", "--select", "P", stdin=text)[1]
    assert "N001" not in run("lint", "--ruleset", "zh-Hant", "--ignore", "N001,C", stdin=text)[1]
    assert "       1  N001  " in run("lint", "--ruleset", "zh-Hant", "--statistics", stdin=text)[1]
    out = run("lint", "--ruleset", "zh-Hant", "--format", "github", stdin=text)[1]
    assert "::error file=<stdin>,line=1,col=4," in out
    assert run("lint", "--ruleset", "zh-Hant", "--select", "Q", stdin=text)[0] == 2


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["lint", "--ruleset", "klingon"], "RULESET_UNKNOWN: There is no ruleset klingon. There are: en,"),
        (["lint", "/nowhere.txt", "--ruleset", "en"], "FILE_UNREADABLE: /nowhere.txt cannot be read"),
        (["rules", "Q9"], "RULE_UNKNOWN: There is no rule Q9."),
    ],
)
def test_what_cannot_run_is_one_line_and_status_2(args: list[str], sentence: str) -> None:
    status, out, err = run(*args)
    assert (status, out) == (2, "") and err.startswith(sentence) and err.count("\n") == 1


def test_an_empty_stream_is_nothing_to_lint() -> None:
    assert run("lint", "--ruleset", "zh-Hant") == (0, "", "")


def test_an_empty_file_is_told_of_and_its_neighbour_is_still_checked(tmp_path: Path) -> None:
    """An export that failed must not pass for a clean transcript."""
    (tmp_path / "empty.txt").touch()
    (tmp_path / "full.txt").write_text("我去3樓。\n", encoding="utf-8")
    status, out, _ = run("lint", str(tmp_path), "--ruleset", "zh-Hant")
    assert status == 1
    first, second = out.splitlines()
    assert "empty.txt:1: TRANSCRIPT_EMPTY" in first and "full.txt:1:3: N001" in second


def test_rules_shows_the_catalogue_and_one_page() -> None:
    status, out, _ = run("rules")
    assert status == 0 and len(out.splitlines()) > 100
    page = run("rules", "P011", "--lang", "zh-Hant")[1]
    assert "不用刪節號" in page and "我，我來。" in page
    assert json_lines(run("rules", "P", "--format", "json")[1])[0]["code"] == "P001"


def test_agreement_pairs_by_id_or_line(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text('{"id": "x", "text": "我想一下。"}\n{"id": "y", "text": "好。"}\n', encoding="utf-8")
    second.write_text('{"id": "y", "text": "好！"}\n{"id": "x", "text": "我想了下。"}\n', encoding="utf-8")
    status, out, _ = run("agreement", str(first), str(second), "--ruleset", "zh-Hant", "--format", "json")
    (row,) = json_lines(out)
    assert status == 0
    assert (row["utterances"], row["mixed_error_rate"], row["identical"]) == (2, 0.2, 1)
    assert (
        "mixed error rate      20.00%" in run("agreement", str(first), str(second), "--ruleset", "zh-Hant")[1]
    )
    second.write_text('{"id": "x", "text": "我想了下。"}\n', encoding="utf-8")
    assert run("agreement", str(first), str(second), "--ruleset", "zh-Hant")[0] == 2


def test_a_folder_stands_for_the_transcripts_in_it(tmp_path: Path) -> None:
    (tmp_path / "deep" / ".hidden").mkdir(parents=True)
    for name in ("b.txt", "deep/a.jsonl", "deep/notes.md", "deep/.hidden/c.txt"):
        (tmp_path / name).write_text("我來.\n", encoding="utf-8")
    (tmp_path / "deep/a.jsonl").write_text('{"text": "我來."}\n', encoding="utf-8")
    status, out, _ = run("lint", str(tmp_path), "--ruleset", "zh-Hant")
    assert status == 1
    assert [Path(row.split(":")[0]).name for row in out.splitlines()] == ["b.txt", "a.jsonl"]


def test_a_file_that_is_missing_stops_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("我來。\n", encoding="utf-8")
    status, out, err = run("lint", "/nowhere.txt", str(path), "--ruleset", "zh-Hant")
    assert (status, out) == (2, "") and err.startswith("FILE_UNREADABLE") and err.count("\n") == 1


def test_the_diff_is_one_that_git_applies(tmp_path: Path) -> None:
    contents = {
        "a.txt": "我來.\r\n好。\r\n\r\n你走,好.".encode(),
        "b.jsonl": '{"id":1,"text":"[noise]好."}\n{"id":2,"text":"好。"}\n'.encode(),
    }
    for name, raw in contents.items():
        (tmp_path / name).write_bytes(raw)
    command = [sys.executable, "-m", "xiangyin", "lint", *contents, "--ruleset", "zh-Hant"]
    here = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}}
    patch = subprocess.run([*command, "--diff"], capture_output=True, **here).stdout  # type: ignore[call-overload]
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
    subprocess.run(["git", "apply", "-p0", "--unidiff-zero", "-"], input=patch, check=True, **here)  # type: ignore[call-overload]
    patched = {name: (tmp_path / name).read_bytes() for name in contents}
    for name, raw in contents.items():
        (tmp_path / name).write_bytes(raw)
    subprocess.run([*command, "--fix"], capture_output=True, **here)  # type: ignore[call-overload]
    assert {name: (tmp_path / name).read_bytes() for name in contents} == patched
    assert patched["a.txt"] == "我來。\r\n好。\r\n\r\n你走，好。".encode()


def test_fix_follows_a_link_and_leaves_it_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("我來.\n", encoding="utf-8")
    (tmp_path / "link.txt").symlink_to("real.txt")
    assert run("lint", str(tmp_path / "link.txt"), "--ruleset", "zh-Hant", "--fix")[0] == 0
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text(encoding="utf-8") == "我來。\n"


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a folder where nobody may write")
def test_a_file_that_cannot_be_mended_is_one_line_and_status_2() -> None:
    status, _, err = run("lint", "/proc/version", "--ruleset", "en", "--fix")
    assert status == 2 and err.startswith("TRANSCRIPT_UNWRITABLE: /proc/version cannot be mended")
    assert err.count("\n") == 1


def test_a_killed_fix_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("我來.\n" * 400_000, encoding="utf-8")
    before = path.read_bytes()
    command = [sys.executable, "-m", "xiangyin", "lint", str(path), "--ruleset", "zh-Hant", "--fix"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not any(each.stat().st_size for each in tmp_path.glob(".a.txt.*")):
        assert running.poll() is None
    running.kill()
    running.wait()
    assert path.read_bytes() == before


def test_findings_appear_while_the_input_is_still_open() -> None:
    command = [sys.executable, "-m", "xiangyin", "lint", "-", "--ruleset", "zh-Hant"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write("我來.\n".encode())
        running.stdin.flush()
        assert b":1:3: P001" in running.stdout.readline()
        running.stdin.close()


def test_fix_keeps_how_a_json_line_is_written(tmp_path: Path) -> None:
    rows = [
        ('{"id":1,"text":"我來."}\n', '{"id":1,"text":"我來。"}\n'),
        ('{"text": "\\u597d.", "by": "\\u4ed6"}\n', '{"text": "\\u597d\\u3002", "by": "\\u4ed6"}\n'),
        ('{"text": "好.", "odd": "\\ud800"}\n', '{"text": "\\u597d\\u3002", "odd": "\\ud800"}\n'),
        (
            '{"text": "[noise]好.", "events": null}',
            '{"text": "好。", "events": [{"label": "noise", "at": 0}]}',
        ),
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(before for before, _ in rows), encoding="utf-8")
    run("lint", str(path), "--ruleset", "zh-Hant", "--fix")
    assert path.read_text(encoding="utf-8") == "".join(after for _, after in rows)


def test_a_json_line_that_is_no_utterance_says_why() -> None:
    stdin = b'{"text": "x", "events": "cough"}\n\n{"text": }\n'
    rows = json_lines(run("lint", "--ruleset", "en", "--format", "json", "--input", "jsonl", stdin=stdin)[1])
    assert [row["error"]["code"] for row in rows] == ["LINE_FIELD_INVALID", "LINE_NOT_JSON", "LINE_NOT_JSON"]
    assert "it is blank" in rows[1]["error"]["detail"] and "at column" in rows[2]["error"]["detail"]


def test_agreement_folds_fillers_on_request(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("嗯，我來。\n", encoding="utf-8")
    second.write_text("呃，我來。\n", encoding="utf-8")
    command = ("agreement", str(first), str(second), "--ruleset", "zh-Hant")
    assert "mixed error rate      33.33%" in run(*command)[1]
    assert "mixed error rate      0.00%" in run(*command, "--fold-fillers")[1]
