"""`xiangyin measure`: a line a file, whatever the files are."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from noise_profiles import (
    files,
    folders,
    measure,
    parallel,
    profile,
    signals,
    spreadsheet,
    terminal,
    typeset,
)
from noise_profiles.cli import measure as command
from protocol.errors import LANGUAGES, CodedError

RATE_HZ = 16_000
SPEECH = signals.speech_like(4 * RATE_HZ, RATE_HZ, 1, lead_in_s=0.7)


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("takes")
    for snr_db in (5, 17, 35):
        noise = signals.pink_noise(SPEECH.size, RATE_HZ, 2)
        sound = signals.mix(SPEECH, noise, snr_db, RATE_HZ).samples
        soundfile.write(folder / f"at{snr_db}.flac", sound, RATE_HZ)
    return folder


def run(*args: object) -> tuple[int, list[dict]]:
    done = CliRunner().invoke(command, [*map(str, args), "--format", "json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, [json.loads(line) for line in done.output.splitlines()]


FIELDS = {
    "file", "duration_s", "sample_rate_hz", "channels", "peak_dbfs", "speech_dbfs", "noise_dbfs", "noise_dba",
    "snr_db", "snr_low_db", "snr_high_db", "speech_s", "segments", "grade", "verdict", "findings", "method",
}  # fmt: skip


def test_a_folder_gives_a_line_a_file_in_order(takes):
    status, lines = run(takes, "--lead-in-s", 0.7)
    assert status == 0
    assert [Path(line["file"]).name for line in lines] == ["at17.flac", "at35.flac", "at5.flac"]
    assert [line["grade"] for line in lines] == ["moderate", "quiet", "noisy"]
    assert all(set(line) >= FIELDS and line["method"] == measure.METHOD for line in lines)


def test_the_command_and_the_function_give_the_same_figures(takes):
    sound, _ = soundfile.read(takes / "at17.flac", dtype="int16")
    figures = measure.measure(sound, RATE_HZ, lead_in_s=0.7).as_json()
    _, (line,) = run(takes / "at17.flac", "--lead-in-s", 0.7)
    assert {name: line[name] for name in FIELDS & set(figures)} == {
        name: figures[name] for name in FIELDS & set(figures)
    }


def test_a_clip_outside_its_band_is_status_1(takes):
    status, (line,) = run(takes / "at17.flac", "--grade", "quiet", "--language", "zh-Hant")
    assert (status, line["verdict"]) == (1, "refuse")
    finding = next(f for f in line["findings"] if f["code"] == "snr.below_band")
    assert finding["limit"] == 25.0 and "噪音" in finding["message"]


def test_bad_files_are_lines_and_the_others_are_measured(takes, tmp_path):
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    (tmp_path / "nothing.wav").write_bytes(b"")
    whole = (takes / "at5.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    nan = np.zeros((100, 8))
    nan[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", nan, RATE_HZ, subtype="FLOAT")
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 4_000)
    names = ["text.wav", "nothing.wav", "cut.flac", "nan.wav", "slow.wav", "missing.wav"]
    status, lines = run(*(tmp_path / name for name in names), takes / "at35.flac")
    assert status == 2
    assert [line["error"]["code"] for line in lines[:-1]] == [
        "AUDIO_UNREADABLE",
        "AUDIO_UNREADABLE",
        "AUDIO_UNREADABLE",
        "SIGNAL_NOT_FINITE",
        "SIGNAL_RATE",
        "FILE_UNREADABLE",
    ]
    assert lines[-1]["verdict"] == "accept"


def test_the_table_tells_a_person_what_to_do(takes):
    done = CliRunner().invoke(command, [str(takes / "at5.flac"), "--grade", "quiet"])
    assert "refuse" in done.output and "Move closer to the microphone" in done.output


def test_an_unknown_profile_names_those_there_are(takes):
    done = CliRunner().invoke(command, [str(takes), "--profile", "studio"])
    assert "everyday" in str(done.exception)


@pytest.mark.parametrize("subtype, suffix", [("PCM_16", "wav"), ("PCM_24", "wav"), ("FLOAT", "wav")])
def test_any_sample_format_reads_the_same(tmp_path, subtype, suffix):
    path = tmp_path / f"take.{suffix}"
    soundfile.write(path, SPEECH + 0.001 * signals.pink_noise(SPEECH.size, RATE_HZ, 1), RATE_HZ, subtype)
    _, (line,) = run(path)
    assert line["speech_dbfs"] == pytest.approx(-26.0, abs=0.5)


def test_the_table_for_spreadsheets_has_a_row_a_file(takes, tmp_path):
    bad, table = tmp_path / "壞檔.wav", tmp_path / "table.csv"
    bad.write_bytes(b"no sound")
    status, lines = run(takes, bad, "--lead-in-s", 0.7, "--csv", table)
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert status == 2
    assert [row["file"] for row in rows] == [line["file"] for line in lines]
    assert [float(row["snr_db"]) for row in rows[:3]] == [line["snr_db"] for line in lines[:3]]
    assert [row["grade"] for row in rows] == ["moderate", "quiet", "noisy", ""]
    assert (rows[3]["verdict"], rows[3]["findings"]) == ("not measured", "AUDIO_UNREADABLE")


def test_a_table_that_cannot_be_written_is_said_by_its_name(takes, tmp_path):
    done = CliRunner().invoke(command, [str(takes), "--csv", str(tmp_path / "nowhere" / "table.csv")])
    assert getattr(done.exception, "code", None) == "TABLE_UNWRITABLE"


def text_of(*args: object, columns: int = 100) -> tuple[int, str]:
    done = CliRunner().invoke(command, [*map(str, args)], env={"COLUMNS": str(columns)})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_every_figure_has_the_type_that_programs_rely_on(takes):
    """`grade` and `noise_dba` may be null and the figures of speech where nobody speaks; nothing else."""
    _, lines = run(takes, "--lead-in-s", 0.7)
    for line in lines:
        for name in ("duration_s", "peak_dbfs", "speech_dbfs", "noise_dbfs", "snr_db", "snr_low_db",
                     "snr_high_db", "speech_s"):  # fmt: skip
            assert isinstance(line[name], float), name
        assert isinstance(line["sample_rate_hz"], int) and isinstance(line["channels"], int)
        assert line["noise_dba"] is None and line["verdict"] in ("accept", "refuse")
        assert all(0 <= start_s < end_s <= line["duration_s"] for start_s, end_s in line["segments"])
        for finding in line["findings"]:
            assert list(finding) == ["code", "severity", "value", "limit", "start_s", "end_s", "message"]
        assert set(line) - FIELDS == {"samples", "noise_dba_fs", "noise_source", "profile"}


def test_an_offset_gives_the_level_in_the_room(takes):
    _, (line,) = run(takes / "at17.flac", "--offset-db", 94)
    assert line["noise_dba"] == pytest.approx(line["noise_dba_fs"] + 94, abs=0.011)


def test_standard_input_is_a_file_like_any_other(takes):
    sound = (takes / "at17.flac").read_bytes()
    done = CliRunner().invoke(command, ["-", "--format", "json"], input=sound)
    line = json.loads(done.output)
    _, (same,) = run(takes / "at17.flac")
    assert line == {**same, "file": "-"}


def test_a_table_never_takes_the_place_of_a_recording(takes, tmp_path):
    """`--csv *.wav` is what a hand in a hurry types; the shell makes the first recording the table."""
    sound = tmp_path / "only-copy.WAV"
    sound.write_bytes(b"RIFF")
    done = CliRunner().invoke(command, [str(takes / "at35.flac"), "--csv", str(sound)])
    assert getattr(done.exception, "code", None) == "TABLE_UNWRITABLE"
    assert sound.read_bytes() == b"RIFF"


@pytest.mark.parametrize("option", ["--csv", "--picture"])
def test_what_cannot_be_written_is_said_in_the_language_asked_for(takes, tmp_path, option):
    (tmp_path / "file").touch()
    where = tmp_path / "file" / "inside"
    done = CliRunner().invoke(command, [str(takes / "at35.flac"), option, str(where)])
    assert isinstance(done.exception, CodedError)
    assert "there is no such folder" in done.exception.sentence()
    assert "沒有這個資料夾" in done.exception.sentence("zh-Hant")


def kinds(folder: Path) -> dict[str, str]:
    """One file of each kind that is no sound or half of one, and the code that says so."""
    wav, flac = folder / "whole.wav", folder / "whole.flac"
    for path in (wav, flac):
        soundfile.write(path, SPEECH, RATE_HZ)
    (folder / "cut.wav").write_bytes(wav.read_bytes()[:-5000])
    (folder / "cut.flac").write_bytes(flac.read_bytes()[: flac.stat().st_size // 2])
    (folder / "folder.wav").mkdir()
    (folder / "header.raw").write_bytes(bytes(100))
    os.mkfifo(folder / "pipe.wav")
    (folder / "broken.wav").symlink_to(folder / "gone.wav")
    (folder / "device.wav").symlink_to("/dev/zero")
    soundfile.write(folder / "none.wav", np.zeros(0), RATE_HZ)
    soundfile.write(folder / "integers.wav", SPEECH * 30_000, RATE_HZ, "FLOAT")
    soundfile.write(folder / "many.wav", np.zeros((100, 70)), RATE_HZ)
    return {
        "cut.wav": "AUDIO_UNREADABLE", "cut.flac": "AUDIO_UNREADABLE", "folder.wav": "AUDIO_MISSING",
        "header.raw": "AUDIO_UNREADABLE", "pipe.wav": "FILE_UNREADABLE", "broken.wav": "FILE_UNREADABLE",
        "device.wav": "FILE_UNREADABLE", "none.wav": "SIGNAL_EMPTY", "integers.wav": "SIGNAL_TYPE",
        "many.wav": "SIGNAL_SHAPE",
    }  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes among the files of this system")
def test_what_is_no_sound_or_half_of_one_is_an_error_and_never_a_figure(tmp_path):
    """A pipe is not waited for, a device not read for ever, a cut file not measured as if whole."""
    expected = kinds(tmp_path)
    status, lines = run(*(tmp_path / name for name in expected))
    assert {Path(line["file"]).name: line["error"]["code"] for line in lines} == expected
    assert status == 2


def of_unknown_length(flac: bytes, samples: int) -> bytes:
    """The FLAC as a program leaves it that wrote to a pipe: STREAMINFO's 36 bits of length are `samples`."""
    at = 4 + 4 + 13  # the mark, the block's header, thirteen bytes and a half of STREAMINFO (RFC 9639, 8.2)
    length = bytes([flac[at] & 0xF0 | samples >> 32]) + (samples & 0xFFFF_FFFF).to_bytes(4, "big")
    return flac[:at] + length + flac[at + 5 :]


@pytest.mark.parametrize("said", [0, 2**36 - 1])
def test_a_flac_that_was_written_to_a_pipe_is_measured_like_any_other(tmp_path, said):
    """Players take it; its header says no length, and it is good for all that."""
    soundfile.write(tmp_path / "whole.flac", np.tile(SPEECH, 6), RATE_HZ)  # 24 s, more than one block
    streamed = of_unknown_length((tmp_path / "whole.flac").read_bytes(), said)
    (tmp_path / "streamed.flac").write_bytes(streamed)
    (tmp_path / "cut.flac").write_bytes(streamed[: len(streamed) // 2])
    status, (whole, same, cut) = run(*(tmp_path / f"{name}.flac" for name in ("whole", "streamed", "cut")))
    assert {**same, "file": whole["file"]} == whole
    assert (status, cut["error"]["code"]) == (2, "AUDIO_UNREADABLE")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("seconds", [4, 24])
def test_an_ogg_that_was_cut_or_has_a_hole_is_not_measured_as_if_whole(tmp_path, subtype, seconds):
    """libsndfile passes over both; what is left has other words and other pauses."""
    whole = tmp_path / "whole.ogg"
    soundfile.write(whole, np.tile(SPEECH, seconds // 4), RATE_HZ, format="OGG", subtype=subtype)
    data = whole.read_bytes()
    middle = len(data) // 2
    (tmp_path / "cut.ogg").write_bytes(data[:middle])
    (tmp_path / "hole.ogg").write_bytes(data[:middle] + bytes(50) + data[middle + 50 :])
    _, (good, cut, hole) = run(whole, tmp_path / "cut.ogg", tmp_path / "hole.ogg")
    assert good["samples"] == seconds * RATE_HZ
    assert [cut["error"]["code"], hole["error"]["code"]] == 2 * ["AUDIO_UNREADABLE"]


def bare(mp3: bytes) -> bytes:
    """The MP3 without the frame that says how long it is; programs that write to a pipe leave it out."""
    length = max(mp3.find(mark) for mark in (b"Xing", b"Info"))
    return mp3[mp3.index(mp3[:2], length) :]


@pytest.mark.parametrize("tag", [b"", b"ID3\x04\x00\x00\x00\x00\x01\x23" + bytes(0xA3)])
def test_an_mp3_that_does_not_say_its_length_is_measured_whole_or_not_at_all(tmp_path, tag):
    """A length is reckoned from the first frames. Too long is no harm; too short hides the end."""
    sounds = {
        "soft": np.tile(SPEECH, 6),
        "loud": np.concatenate([signals.white_noise(64_000, RATE_HZ, 1), SPEECH]),
    }
    for name, sound in sounds.items():
        soundfile.write(tmp_path / f"{name}.mp3", sound, RATE_HZ)
    soft, loud = ((tmp_path / f"{name}.mp3").read_bytes() for name in sounds)
    (tmp_path / "loud.mp3").write_bytes(tag + bare(loud))
    (tmp_path / "bare.mp3").write_bytes(tag + bare(soft))
    (tmp_path / "cut.mp3").write_bytes(tag + soft[: len(soft) // 2])
    status, lines = run(*(tmp_path / f"{name}.mp3" for name in ("soft", "bare", "cut", "loud")))
    assert lines[1]["duration_s"] == pytest.approx(lines[0]["duration_s"], abs=0.2)
    assert [line["error"]["code"] for line in lines[2:]] == 2 * ["AUDIO_UNREADABLE"]
    assert status == 2


@pytest.mark.parametrize(
    "sound, rate_hz, codes",
    [
        (np.full(1, 0.3), 16_000, {"clip.too_short", "speech.none"}),
        (np.zeros(32_000), 16_000, {"speech.none"}),
        (np.full(32_000, 0.3), 16_000, {"speech.none", "level.offset"}),
        (np.sign(np.sin(np.arange(32_000) / 10)), 16_000, {"speech.none", "level.clipped"}),
        (np.zeros((16_000, 8)), 8_000, {"speech.none"}),
        (np.zeros(192_000), 192_000, {"speech.none"}),
    ],
    ids=["one sample", "silence", "constant", "square wave", "8 channels", "192 kHz"],
)
def test_strange_sounds_have_defined_figures(tmp_path, sound, rate_hz, codes):
    path = tmp_path / "strange.wav"
    soundfile.write(path, sound, rate_hz)
    status, (line,) = run(path, "--picture", tmp_path)
    assert status == 1 and {f["code"] for f in line["findings"]} >= codes
    assert line["snr_db"] is None and line["grade"] is None and line["noise_dbfs"] <= 3.1


NAMES = ["=cmd|calc.wav", "台語\x1b[2J\n.wav", "\u202egpj.wav", "a b.wav", b"\xff\xfe.wav"]


@pytest.mark.skipif(os.name == "nt", reason="these names do not exist there")
def test_no_name_of_a_file_does_harm_or_is_lost(takes, tmp_path, monkeypatch):
    """A name can move a terminal's cursor, reverse a line, begin a formula or be no UTF-8 at all."""
    folder = tmp_path / "in"
    folder.mkdir()
    paths = [os.path.join(os.fsencode(folder), os.fsencode(name)) for name in NAMES]  # noqa: PTH118
    for path in paths:
        Path(os.fsdecode(path)).write_bytes((takes / "at17.flac").read_bytes())
    table, pictures = tmp_path / "t.csv", tmp_path / "pictures"
    done = CliRunner().invoke(command, [str(folder), "--format", "json", "--csv", str(table)])
    assert all(c.isprintable() or c == "\n" for c in done.output)
    assert sorted(json.loads(one)["file"] for one in done.output.splitlines()) == sorted(
        map(os.fsdecode, paths)
    )
    _, text = text_of(folder, "--picture", pictures)
    assert all(c.isprintable() or c == "\n" for c in text)
    with table.open(encoding="utf-8-sig", newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert all(name.isprintable() for name in names) and len(set(names)) == len(NAMES)
    monkeypatch.chdir(folder)
    CliRunner().invoke(command, ["=cmd|calc.wav", "--csv", str(table)])
    assert "'=cmd|calc.wav" in table.read_text("utf-8-sig")
    drawn = sorted(path.name for path in pictures.iterdir())
    assert len(drawn) == len(NAMES) and all(name.isprintable() and name[0] not in ".-" for name in drawn)


def test_processes_give_the_same_lines_in_the_same_order(takes, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    files = [takes / "at5.flac", bad, takes / "at35.flac", takes / "at17.flac", takes / "at5.flac"]
    assert run(*files, "--jobs", 2) == run(*files, "--jobs", 1)


def test_a_process_that_dies_costs_no_file_its_figures(takes):
    """A decoder can crash on one file; those that were in other hands at that moment are measured again."""
    judge = profile.load()[profile.DEFAULT_PROFILE_ID]
    items = list(folders.found([takes])) * 3
    before = set(multiprocessing.active_children())
    answers = parallel.heard(items, files.Order(judge), jobs=2)
    heard = [next(answers)]
    for process in set(multiprocessing.active_children()) - before:
        process.kill()
    heard += answers
    assert [one.file for one in heard] == [item.name for item in items]
    assert all(one.measurement is not None for one in heard)
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_the_keyboard_stops_it_at_once_and_leaves_no_process(tmp_path):
    long = tmp_path / "long.wav"
    with soundfile.SoundFile(long, "w", 48_000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * 48_000, np.int16))
    words = [sys.executable, "-m", "xiangyin", "measure", str(long), str(long), "--jobs", "2"]
    table = tmp_path / "t.csv"
    with subprocess.Popen(
        [*words, "--csv", str(table)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline().startswith("file")
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told == "Stopped: 0 of 2 files measured.\n"
    assert table.read_text("utf-8-sig").startswith("file,")


def test_a_folder_is_summed_up_for_people_and_for_programs(takes, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE_HZ), RATE_HZ)
    status, text = text_of(takes, tmp_path, tmp_path / "none.wav", "--lead-in-s", 0.7)
    assert status == 2
    assert text.splitlines()[-4:] == [
        "5 files, 0.004 h: 3 accepted · 1 refused · 1 not measured",
        "grades: quiet 1 · moderate 1 · noisy 1 · no grade 1",
        "findings: speech.none 1 (1 refused)",
        "errors: FILE_UNREADABLE 1",
    ]
    done = CliRunner().invoke(command, [str(takes), str(tmp_path), "--format", "json", "--summary"])
    assert len(done.stdout.splitlines()) == 4
    summary = json.loads(done.stderr)["summary"]
    assert (summary["files"], summary["verdicts"]) == (4, {"accept": 3, "refuse": 1})
    assert summary["findings"]["speech.none"] == {"warning": 0, "error": 1}


@pytest.mark.parametrize("width", [80, 100, 120, 160])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_fits_the_terminal_whatever_the_script(takes, tmp_path, width, language):
    """A line that is broken by the terminal is a table no more; a Chinese character takes two columns."""
    long = tmp_path / ("很長的資料夾名稱" * 5)
    long.mkdir()
    for name in ("一二三.flac", "abc.flac", "é.flac"):
        (long / name).write_bytes((takes / "at5.flac").read_bytes())
    _, text = text_of(long, tmp_path / "無.wav", "--grade", "quiet", "--language", language, columns=width)
    lines = text.splitlines()
    assert max(map(typeset.columns, lines)) <= width
    rows = [line for line in lines if "flac" in line]
    assert len(rows) == 3 and all(name in text for name in ("一二三.flac", "abc.flac", "é.flac"))
    level = "-26"
    assert len({typeset.columns(row[: row.index(level)]) for row in rows}) == 1, "the columns stand in line"


def test_there_is_no_bar_and_no_colour_where_nobody_sees_them(takes):
    done = CliRunner().invoke(command, [str(takes)])
    assert "\r" not in done.output and "\x1b" not in done.output and done.stderr == ""


def test_a_bar_shows_long_work_on_a_terminal_and_vanishes():
    now_s = [0.0]
    stream = io.StringIO()
    bar = terminal.Progress(stream, shown=True, clock=lambda: now_s[0])
    bar.begin(4)
    bar.share(0.5)
    assert stream.getvalue() == "", "short work shows none"
    now_s[0] = 1.0
    bar.next()
    assert "1/4" in stream.getvalue() and "25 %" in stream.getvalue()
    bar.hide()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_grade_that_the_profile_lacks_is_said_before_any_file(takes, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('[mine]\nversion="1"\ntitle="T"\n[mine.grades.quiet]\nsnr_db=[20, 60]\n', "utf-8")
    done = CliRunner().invoke(
        command, [str(takes), "--profiles", str(mine), "--profile", "mine", "--grade", "noisy"]
    )
    assert getattr(done.exception, "code", None) == "GRADE_UNKNOWN" and done.output == ""


def test_rows_of_the_spreadsheet_are_there_as_soon_as_they_are_known(takes, tmp_path):
    """A crash in the thousandth file must not lose the rows before."""
    table = tmp_path / "t.csv"
    judge = profile.load()[profile.DEFAULT_PROFILE_ID]
    with spreadsheet.opened(table) as write:
        for item in folders.found([takes]):
            write(files.hear(item, files.Order(judge)), "en")
            assert item.path.name in table.read_text("utf-8-sig").splitlines()[-1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_with_the_name_of_the_table(takes):
    done = CliRunner().invoke(command, [str(takes), "--csv", "/dev/full"])
    assert getattr(done.exception, "code", None) == "TABLE_UNWRITABLE"


def test_one_file_starts_no_process_and_waits_for_no_library_it_does_not_need(takes):
    """librosa alone takes two seconds to load, warm."""
    script = (
        "import multiprocessing, sys\n"
        "from noise_profiles.cli import measure\n"
        f"try: measure([{str(takes / 'at17.flac')!r}, '--picture', {str(takes / 'pictures')!r}])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('librosa', 'numba', 'matplotlib') if name in sys.modules],"
        " multiprocessing.active_children(), multiprocessing.forkserver._forkserver._forkserver_pid)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[] [] None", done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("form", ["text", "json"])
def test_figures_that_no_disk_takes_are_no_refusal(takes, form):
    """A script reads status 1 as "some refused", and the table it reads next is cut short."""
    words = [sys.executable, "-m", "xiangyin", "measure", str(takes / "at35.flac"), "--format", form]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("DISK_FULL: ") and done.stderr.count("\n") == 1
