"""A picture says what the figures say, stands for sound of any kind, and is the same for the same sound."""

from __future__ import annotations

import base64
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from noise_profiles import files, folders, levels, measure, picture, png, profile, signals, sketch
from noise_profiles.words import WORDS
from protocol.errors import LANGUAGES

RATE_HZ = 16_000
JUDGE = profile.load()[profile.DEFAULT_PROFILE_ID]
SPEECH = signals.speech_like(4 * RATE_HZ, RATE_HZ, 1, lead_in_s=0.7)
SOUND = signals.mix(SPEECH, signals.pink_noise(SPEECH.size, RATE_HZ, 2), 12.0, RATE_HZ).samples
SVG = "{http://www.w3.org/2000/svg}"


def sketched(sound: np.ndarray, rate_hz: int = RATE_HZ, cuts: list[int] | None = None) -> sketch.Sketch:
    two = sound.reshape(len(sound), -1).astype(np.float32)
    sketcher = sketch.Sketcher(rate_hz, two.shape[1], len(two), columns=100)
    for block in np.split(two, sorted(cuts or [])):
        sketcher.feed(block)
    return sketcher.finish()


def subject(sound: np.ndarray, name: str = "take.wav", rate_hz: int = RATE_HZ, **changes) -> picture.Subject:
    measured = measure.measure(sound.astype(np.float32), rate_hz, lead_in_s=changes.get("lead_in_s", 0.0))
    verdict = profile.verdict(measured, JUDGE, changes.get("wanted"))
    return picture.Subject(name, measured, verdict, JUDGE, sketched(sound, rate_hz), **changes)


def texts(svg: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter(SVG + "text")]


def test_the_header_says_what_the_measurement_and_the_verdict_say():
    one = subject(SOUND, wanted="quiet", lead_in_s=0.7)
    said = texts(picture.draw(one))
    m = one.measurement
    assert f"{m.snr_db:.1f} dB" in said and "refuse" in said and "moderate" in said
    assert f"SNR (80 %: {m.snr_low_db:.1f} … {m.snr_high_db:.1f})" in said
    assert f"{m.noise_dbfs:.1f} dBFS".replace("-", "−") in said
    assert any("judged for quiet" in line for line in said) and "lead-in" in said
    assert " ".join(one.verdict.findings[0].message().split()[:6]) in " ".join(said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_stands_whole_in_the_picture_in_its_language(language):
    spoilt = np.clip(SOUND * 8, -0.5, 0.5) + 0.05
    one = subject(spoilt)
    said = "".join(texts(picture.draw(one, language))).replace(" ", "")
    assert len(one.verdict.findings) >= 2
    for finding in one.verdict.findings:
        assert finding.message(language).replace(" ", "") in said


def test_a_finding_is_drawn_over_its_stretch():
    broken = SOUND.copy()
    broken[2 * RATE_HZ : 2 * RATE_HZ + 400] = 0.0
    one = subject(broken)
    finding = next(f for f in one.verdict.findings if f.code == "sound.dropout")
    time = picture.Time(one.measurement.duration_s)
    start, end = (f"{time.x(at or 0.0):.1f}" for at in (finding.start_s, finding.end_s))
    assert re.search(rf'd="M{start} [\d.]+V[\d.]+H({end}|[\d.]+)V', picture.draw(one))


def test_the_same_sound_gives_the_same_bytes():
    assert picture.draw(subject(SOUND), "zh-Hans") == picture.draw(subject(SOUND), "zh-Hans")


@given(st.lists(st.integers(0, SOUND.size), max_size=6))
@settings(max_examples=20, deadline=None)
def test_blocks_do_not_show_in_the_picture(cuts):
    """Files are read in blocks; a picture with seams would show the reader's buffers and not the sound."""
    whole, cut = sketched(SOUND), sketched(SOUND, cuts=cuts)
    for name in ("lowest", "highest", "level", "spectrum"):
        np.testing.assert_allclose(getattr(cut, name), getattr(whole, name), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("seconds", [0.0001, 0.05, 1.0, 7.3, 61.0])
def test_columns_span_the_sound_and_never_grow_beyond_their_number(seconds):
    rate_hz = 8_000
    x = signals.white_noise(max(1, round(seconds * rate_hz)), rate_hz, 1)
    sketcher = sketch.Sketcher(rate_hz, 1, 0, columns=50)  # nobody told it how much will come
    for block in np.array_split(x[:, np.newaxis], 7):
        sketcher.feed(block)
    done = sketcher.finish()
    for part in (done.lowest, done.highest, done.level, done.spectrum):
        assert 1 <= len(part) <= 101 and np.isfinite(part).all()
    assert done.samples == x.size
    assert float(done.lowest.min()) == pytest.approx(float(x.min()))
    assert float(done.highest.max()) == pytest.approx(float(x.max()))


@pytest.mark.parametrize("level_dbfs", [-60.0, -20.0])
def test_the_level_curve_is_in_the_unit_of_the_lines_drawn_into_it(level_dbfs):
    """A sine of known level: by AES17 its mean square of A²/2 reads 20 log A."""
    sine = 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * 1000 * np.arange(2 * RATE_HZ) / RATE_HZ)
    inner = sketched(sine).level[5:-5, 0]
    assert levels.dbfs(float(inner.mean())) == pytest.approx(level_dbfs, abs=0.05)


def test_a_tone_shines_in_the_row_of_its_frequency():
    tone = 0.1 * np.sin(2 * np.pi * 3000 * np.arange(RATE_HZ) / RATE_HZ)
    row = int(sketched(tone).spectrum.mean(axis=0).argmax())
    edges = sketch.row_edges_hz(RATE_HZ)
    assert edges[row] - 40 <= 3000 <= edges[row + 1] + 40


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_png_holds_its_pixels_and_colours(height, width, seed):
    """Read back by the letter of ISO/IEC 15948: length, type, data, CRC of type and data."""
    pixels = np.random.default_rng(seed).integers(0, 3, (height, width), dtype=np.uint8)
    palette = [(0, 0, 0), (1, 2, 3), (255, 128, 0)]
    data = png.indexed(pixels, palette)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert chunks[b"IHDR"] == struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    assert chunks[b"PLTE"] == bytes(sum(palette, ()))
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any() and np.array_equal(rows[:, 1:], pixels)


@pytest.mark.parametrize(
    "sound, rate_hz",
    [
        (np.full(1, 0.5), 16_000),
        (np.zeros(1600), 8_000),
        (np.full(20_000, 1.0), 192_000),
        (np.sign(np.sin(np.arange(48_000) / 9)), 48_000),
        (np.stack([SOUND] * 12, axis=1), RATE_HZ),
        (SOUND * 1e-6, RATE_HZ),
        (SOUND * 40, RATE_HZ),
    ],
    ids=["one sample", "silence", "constant", "square", "12 channels", "faint", "beyond full scale"],
)
def test_every_kind_of_sound_can_be_drawn_and_no_number_is_lost(sound, rate_hz):
    svg = picture.draw(subject(sound, rate_hz=rate_hz))
    root = ET.fromstring(svg)
    assert "nan" not in svg.lower().replace("data:", "").split("base64")[0] and "inf" not in texts(svg)
    height = float(root.get("height") or 0)
    for one in root.iter(SVG + "text"):
        assert 0 <= float(one.get("x") or 0) <= picture.WIDTH and 0 <= float(one.get("y") or 0) <= height


def test_hum_is_marked_at_its_frequency():
    hum = signals.hum(SOUND.size, RATE_HZ, 1, mains_hz=60.0)
    loud = SOUND + hum * 10 ** (-30 / 20) / float(np.sqrt(np.mean(hum**2)))
    one = subject(loud)
    assert [f.code for f in one.verdict.findings] == ["noise.hum"]
    marked = re.findall(r'H\d+" stroke="#ffffff" stroke-width="1.5" stroke-dasharray', picture.draw(one))
    assert len(marked) == 1


@pytest.mark.parametrize("name", ["<script>alert(1)</script>.wav", 'a"b&c.wav', "\x00\x1b[2J\ufffe.wav"])
def test_no_name_becomes_a_part_of_the_drawing(name):
    svg = picture.draw(subject(SOUND, name))
    tags = {one.tag.removeprefix(SVG) for one in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "title", "rect", "path", "text", "circle", "image"}


def test_every_source_of_noise_and_every_word_has_a_label_in_each_language():
    assert len({tuple(words) for words in WORDS.values()}) == 1
    for source in ("lead_in+pauses", "lead_in", "pauses", "room_tone+pauses", "room_tone", "between_words"):
        assert WORDS["zh-Hant"][f"from_{source}"]


def named(*paths: str) -> list[str]:
    items = [files.Item(path, Path(path)) for path in paths]
    return [item.picture.name for item in folders.with_pictures(items, Path("out")) if item.picture]


def test_pictures_are_called_as_their_files_where_that_is_safe():
    assert named("a/take.wav", "a/台語.flac") == ["take.wav.svg", "台語.flac.svg"]


@given(st.lists(st.text(max_size=60).map(lambda name: "d/" + name), unique=True, max_size=8))
def test_no_two_files_share_a_picture_and_every_name_is_safe(paths):
    """On Windows and macOS names that differ in case only are one file; some names are devices there."""
    names = named(*paths, "e/A.wav", "f/a.WAV", "g/con.wav", "h/" + "長" * 200 + ".wav")
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert name.isprintable() and not re.search(r'[\\/:*?"<>|\s]', name) and name[0] != "."
        assert len(name.encode()) <= 255 and not re.match(r"(?i)(con|nul)\.", name)


def test_the_file_is_whole_or_absent_and_what_cannot_be_written_is_said(tmp_path):
    take = tmp_path / "take.wav"
    soundfile.write(take, SOUND, RATE_HZ)
    folder = tmp_path / "pictures"
    (item,) = folders.with_pictures(list(folders.found([take])), folder)
    heard = files.hear(item, files.Order(JUDGE))
    assert heard.picture == str(folder / "take.wav.svg") and [p.name for p in folder.iterdir()] == [
        "take.wav.svg"
    ]
    (folder / "take.wav.svg").unlink()
    (folder / "take.wav.svg").mkdir()
    (folder / "take.wav.svg" / "x").touch()
    failed = files.hear(item, files.Order(JUDGE))
    assert failed.code == "PICTURE_UNWRITABLE" and failed.measurement == heard.measurement
    assert [p.name for p in folder.iterdir()] == ["take.wav.svg"]


def test_the_spectrogram_inside_is_a_png():
    data = re.search(r"data:image/png;base64,([^\"]+)", picture.draw(subject(SOUND)))
    assert data is not None and base64.b64decode(data[1]).startswith(b"\x89PNG")
