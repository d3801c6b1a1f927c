"""What an operator sees of a running server: lines and figures, by route, without a word of anybody's."""

from __future__ import annotations

import io
import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import requests

from corpus import logs

LINE = {
    "time", "level", "logger", "message", "request_id", "method", "route", "status", "code", "duration_ms",
    "bytes_in", "bytes", "membership",
}  # fmt: skip


@pytest.fixture
def lines():
    """The log as it would stand on stderr; parsed when asked."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.JsonLines())
    root, access = logging.getLogger(), logging.getLogger("xiangyin.access")
    root.addHandler(handler)
    before = access.level
    access.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.removeHandler(handler)
    access.setLevel(before)


def test_a_request_leaves_one_line_by_its_route(app, speaker, good, lines):
    speaker.send(good)
    found = lines()
    assert {frozenset(line) for line in found} == {frozenset(LINE)}
    patch = next(line for line in found if line["method"] == "PATCH")
    assert (patch["route"], patch["status"], patch["code"]) == ("/api/v1/uploads/<upload_id>", 204, None)
    assert patch["bytes_in"] == len(good.data) and patch["duration_ms"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", patch["time"])


def test_nothing_personal_is_in_the_log(app, site, make, join, good, lines):
    """Tokens, invitations, names and ids in addresses: a log is kept longer and read by more than a store."""
    secret = make.invitation(site, "transcriber")
    app.test_client().get(f"/join/{secret}")
    person = join("speaker")
    person.send(good)
    person.ask("GET", f"/api/v1/clips/{good.clip_id}")
    person.ask("GET", "/api/v1/clips/阿美的秘密?q=secret-words")
    text = json.dumps(lines(), ensure_ascii=False)
    for word in (
        secret,
        person.token,
        person.joined["person_id"],
        "阿美",
        good.clip_id,
        "secret-words",
        "take.flac",
    ):
        assert word not in text


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/a%0A%7B%22level%22%3A%22forged%22%7D", {}),
        ('/%E2%80%A8{"x":1}', {"User-Agent": '"}, {"level": "forged'}),
        ("/", {"X-Request-Id": '"}, {"level": "forged'}),
        ("/api/v1/uploads", {"X-Request-Id": "x" * 5000, "Tus-Resumable": "\\n{"}),
    ],
)
def test_no_request_can_forge_a_line(app, lines, path, headers):
    app.test_client().open(path, headers=headers)
    (line,) = lines()
    assert set(line) == LINE and "forged" not in json.dumps(line)


def test_the_id_is_in_the_reply_and_the_line(app, lines):
    answer = app.test_client().get("/api/v1/nothing")
    (line,) = lines()
    assert answer.headers["X-Request-Id"] == line["request_id"]
    assert (line["code"], line["route"]) == ("NOT_FOUND", None)
    assert "request_id" not in answer.get_json()  # two refusals of one kind read the same


@pytest.mark.parametrize("given", ["ab12cd34", "0123456789abcdef0123456789abcdef", "a-b_c-d_e"])
def test_a_proxys_id_is_taken_over_where_there_is_a_proxy(settings, site, given):
    import server

    behind = replace(settings, trusted_proxy="127.0.0.1")
    for own, expected in ((behind, True), (settings, False)):
        client = server.create_app(own, replace(site, settings=own)).test_client()
        answer = client.get("/healthz", headers={"X-Request-Id": given})
        assert (answer.headers["X-Request-Id"] == given) is expected


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "a b c d e f", 'abcdefgh"', "abcdefgh\\n", "阿美阿美阿美阿美"]
)
def test_an_id_of_another_form_is_replaced(settings, site, given):
    import server

    behind = replace(settings, trusted_proxy="127.0.0.1")
    client = server.create_app(behind, replace(site, settings=behind)).test_client()
    found = client.get("/healthz", headers={"X-Request-Id": given.encode().decode("latin-1")})
    assert re.fullmatch("[0-9a-f]{32}", found.headers["X-Request-Id"])


def test_a_fault_of_ours_tells_where_and_not_what(app, lines, monkeypatch):
    from corpus import counts

    def broken(*_words):
        raise ValueError("the words of 阿美")

    monkeypatch.setattr(counts, "clips_by_state", broken)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = app.test_client().get("/readyz?token=secret-words")
    assert (answer.status_code, answer.get_json()["code"]) == (500, "INTERNAL")
    fault, line = lines()
    assert fault["error"] == "ValueError"
    assert fault["request_id"] == line["request_id"] == answer.get_json()["request_id"]
    assert any(frame.startswith("web/health.py:") for frame in fault["frames"])
    text = json.dumps([fault, line], ensure_ascii=False)
    assert "阿美" not in text and "secret-words" not in text


# --- figures ------------------------------------------------------------------------------------------


def scraped(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """What Prometheus's own parser makes of it: samples by name and labels."""
    parser = pytest.importorskip("prometheus_client.parser")
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in parser.text_string_to_metric_families(text):
        assert family.documentation and family.type != "unknown", family.name
        for sample in family.samples:
            place = found.setdefault(sample.name, {})
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in place, f"{sample.name} {labels} stands twice"
            place[labels] = sample.value
    return found


def test_the_figures_are_those_of_what_was_done(app, site, join, make, good):
    speaker = join("speaker")
    speaker.send(good)
    speaker.send(make.clip(make.file(make.samples(2)[: make.rate_hz // 10])))
    refused = speaker.send(make.clip(b"not a sound at all"))
    speaker.create(make.clip(b"x" * 100))
    app.test_client().get("/api/v1/none")
    answer = app.test_client().get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = scraped(answer.text)
    count = found["xiangyin_request_seconds_count"]
    label = (("method", "PATCH"), ("route", "/api/v1/uploads/<upload_id>"), ("status", "204"))
    assert count[label] == 3
    assert count[(("method", "GET"), ("route", "none"), ("status", "404"))] == 1
    assert found["xiangyin_problems_total"][(("code", "NOT_FOUND"),)] == 1
    code = refused["receipt"]["details"]["findings"][0]["code"]
    assert found["xiangyin_clips_refused_total"][(("code", code),)] == 1
    states = {dict(key)["state"]: value for key, value in found["xiangyin_clips"].items()}
    assert states["accepted"] >= 1 and sum(states.values()) == 3
    uploads = {dict(key)["state"]: value for key, value in found["xiangyin_uploads"].items()}
    assert uploads == {"done": 3, "open": 1}
    ages = {dict(key)["queue"]: value for key, value in found["xiangyin_queue_age_seconds"].items()}
    assert set(ages) == {"upload", "appeal", "text_first", "text_second", "text_review"}
    assert ages["text_first"] > 0 and ages["appeal"] == 0
    assert found["xiangyin_ledger_entries"][()] == 3
    assert found["xiangyin_disk_free_bytes"][()] > 0


def test_buckets_grow_and_end_in_the_count(app):
    for _ in range(5):
        app.test_client().get("/healthz")
    found = scraped(app.test_client().get("/metrics").text)
    label = {"method": "GET", "route": "/healthz", "status": "200"}
    buckets = [
        (float(dict(key)["le"]), value)
        for key, value in found["xiangyin_request_seconds_bucket"].items()
        if {k: v for k, v in key if k != "le"} == label
    ]
    values = [value for _, value in sorted(buckets)]
    assert values == sorted(values) and values[-1] == 5
    assert found["xiangyin_request_seconds_count"][tuple(sorted(label.items()))] == 5


def test_a_decoding_that_was_ended_is_counted(app, site):
    site.intake.decoder._ended("SIGXCPU")
    found = scraped(app.test_client().get("/metrics").text)
    assert found["xiangyin_decoder_ended_total"][(("by", "SIGXCPU"),)] == 1


@pytest.mark.parametrize(
    "words",
    [("--workers", "2"), ("--server", "granian", "--workers", "2")],
    ids=["waitress", "granian"],
)
def test_each_process_tells_the_counts_of_all_and_logs_whole_lines(make, tmp_path, words):
    if "granian" in words:
        pytest.importorskip("granian")
    server = make.server(tmp_path / "data", words=words).start()
    try:
        ids = set()
        for number in range(60):
            answer = requests.get(f"{server.url}/api/v1/none{number}", timeout=30)  # a connection each
            ids.add(answer.headers["X-Request-Id"])
        counts = set()
        for _ in range(8):
            found = scraped(requests.get(f"{server.url}/metrics", timeout=30).text)
            label = (("method", "GET"), ("route", "none"), ("status", "404"))
            counts.add(found["xiangyin_request_seconds_count"][label])
        assert counts == {60.0}
        lines = [json.loads(line) for line in server.log()]
        assert ids <= {line.get("request_id") for line in lines} and len(ids) == 60
    finally:
        assert server.stop() == 0


def test_text_instead_of_json_is_a_setting(make, tmp_path):
    server = make.server(tmp_path / "data", environ={"XIANGYIN_LOG_FORMAT": "text"}).start()
    try:
        requests.get(f"{server.url}/healthz", timeout=30)
        (line,) = [line for line in server.log() if '"/healthz"' in line]
        assert " info xiangyin.access request " in line and "status=200" in line
    finally:
        assert server.stop() == 0


def test_requests_that_wait_for_each_other_leave_no_lines_of_their_own(make, tmp_path):
    """A crowd would fill the disk with lines that say nothing but that it is one."""
    server = make.server(tmp_path / "data").start()
    try:
        with ThreadPoolExecutor(48) as crowd:
            answers = list(crowd.map(lambda _: requests.get(f"{server.url}/readyz", timeout=30), range(200)))
        assert {answer.status_code for answer in answers} == {200}
        told = [json.loads(line)["logger"] for line in server.log()]
        assert told == ["xiangyin.access"] * 200
    finally:
        assert server.stop() == 0
