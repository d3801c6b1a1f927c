"""The operator's commands on a store that holds real clips: what they print, find and return."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

import xiangyin
from corpus import audit
from corpus.database import reading
from protocol.errors import CodedError


@pytest.fixture
def run(settings):
    """Run a command on the test's data folder: exit status and lines."""

    def call(*words: str, form: str = "json", data=None):
        words = (*words, "--data", str(data or settings.data), "--format", form)
        done = CliRunner().invoke(xiangyin.cli, words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        lines = done.stdout.splitlines()
        return done.exit_code, [json.loads(line) for line in lines] if form == "json" else lines

    return call


@pytest.fixture
def filled(speaker, make):
    """Two accepted clips and a refused one."""
    sent = [make.clip(make.file(make.samples(n))) for n in (1, 2)] + [make.clip(b"no sound at all")]
    for clip in sent:
        speaker.send(clip)
    return sent


def test_a_project_is_made_once_shown_and_filled_with_prompts(run, tmp_path):
    words = (
        "project",
        "create",
        "street",
        "--title",
        "街頭",
        "--language",
        "nan-Hant-TW",
        "--orthography",
        "nan-Hant",
    )
    for _ in range(2):
        status, (row,) = run(*words)
        assert (status, row["id"], row["orthography"]) == (0, "street", "nan-Hant")
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("你食飽未？\n今仔日真熱。\n", encoding="utf-8")
    assert run("project", "prompts", "street", str(prompts)) == (
        0,
        [{"project": "street", "added": 2, "there": 0}],
    )
    assert run("project", "prompts", "street", str(prompts))[1][0]["added"] == 0
    assert run("project", "show", "street")[1][0]["prompts"] == 2


@pytest.mark.parametrize(
    "words",
    [("project", "show", "street"), ("invite", "street", "--role", "speaker"), ("fsck",)],
    ids=lambda words: words[0],
)
def test_a_misspelt_folder_is_named_and_not_begun(run, tmp_path, words):
    """A second, empty corpus beside the real one would look like lost data."""
    nowhere = tmp_path / "nowhere"
    with pytest.raises(CodedError) as caught:
        run(*words, data=nowhere)
    assert caught.value.code == "DATA_FOLDER_MISSING" and str(nowhere) in str(caught.value)
    assert not nowhere.exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("project", "show", "none"), "PROJECT_UNKNOWN"),
        (
            ("project", "create", "x", "--title", "t", "--language", "nan", "--orthography", "klingon"),
            "RULESET_UNKNOWN",
        ),
        (
            (
                "project",
                "create",
                "x",
                "--title",
                "t",
                "--language",
                "nan",
                "--orthography",
                "nan-Hant",
                "--profile",
                "p",
            ),
            "VALUE_INVALID",
        ),
        (("project", "prompts", "tales", "nowhere.txt"), "FILE_UNREADABLE"),
        (("invite", "none", "--role", "speaker"), "PROJECT_UNKNOWN"),
        (("withdraw", "--clip", "none"), "NOT_FOUND"),
        (("ledger", "verify", "--export", "nowhere"), "FILE_UNREADABLE"),
        (("restore", "nowhere"), "BACKUP_IMPOSSIBLE"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_code(site, run, words, code):
    with pytest.raises(CodedError) as caught:
        run(*words)
    assert caught.value.code == code


def test_terms_and_consent_come_from_files(run, tmp_path):
    terms = tmp_path / "terms.txt"
    terms.write_text("一秒一元。", encoding="utf-8")
    consent = tmp_path / "consent.toml"
    consent.write_text('version = "v2"\ntext = "好"\nlicense = "CC0-1.0"\n', encoding="utf-8")
    _, (row,) = run(
        "project", "create", "paid", "--title", "t", "--language", "yue", "--orthography", "yue-Hant",
        "--terms", str(terms), "--consent", str(consent),
    )  # fmt: skip
    assert row["terms"]["text"] == "一秒一元。" and row["terms"]["version"].startswith("terms-")
    assert row["consent"] == {"version": "v2", "text": "好", "license": "CC0-1.0"}


def test_invitations_are_links_that_work(site, run, app):
    status, rows = run("invite", "tales", "--role", "transcriber", "--count", "3")
    assert status == 0 and len({row["invite"] for row in rows}) == 3
    assert all(
        row["url"].endswith("/join/" + row["invite"]) and row["expires_at"].endswith("Z") for row in rows
    )
    joined = app.test_client().post("/api/v1/join", json={"invite": rows[0]["url"]})
    assert joined.get_json()["role"] == "transcriber"


def test_fsck_finds_everything_in_order(filled, run):
    assert run("fsck") == (0, [{"problems": 0}])


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "swap", "orphan", "receipt", "row"])
def test_fsck_names_every_kind_of_damage_and_changes_nothing(filled, site, run, damage):
    import sqlalchemy as sa

    from corpus import tables
    from corpus.database import begin

    first, second = (site.store.path(clip.sha256) for clip in filled[:2])
    data = first.read_bytes()
    if damage == "flip":
        first.write_bytes(data[:500] + bytes([data[500] ^ 1]) + data[501:])
    elif damage == "cut":
        first.write_bytes(data[:-1])
    elif damage == "remove":
        first.unlink()
    elif damage == "swap":
        other = second.read_bytes()
        second.write_bytes(data)
        first.write_bytes(other)
    elif damage == "orphan":
        site.store.put_bytes(b"nobody's")
    else:
        with begin(site.engine) as db:
            if damage == "receipt":
                db.execute(sa.delete(tables.receipt).where(tables.receipt.c.clip_id == filled[0].clip_id))
            else:
                db.execute(
                    sa.update(tables.clip).where(tables.clip.c.id == filled[0].clip_id).values(bytes=1)
                )
    before = {p: p.read_bytes() for p in site.store.folder.rglob("*") if p.is_file()}
    status, rows = run("fsck")
    assert status == 1 and rows[-1]["problems"] == len(rows) - 1 >= 1
    named = " ".join(f"{row['name']} {row['problem']}" for row in rows[:-1])
    expected = {"orphan": "no clip that stands", "receipt": filled[0].clip_id, "row": filled[0].clip_id}
    assert expected.get(damage, filled[0].sha256) in named
    assert {p: p.read_bytes() for p in site.store.folder.rglob("*") if p.is_file()} == before


def test_the_log_is_exported_checked_and_held_against_an_older_head(
    filled, run, tmp_path, speaker, make, site
):
    older = tmp_path / "older.txt"
    older.write_text(run("ledger", "head")[1][0]["head"], encoding="utf-8")
    speaker.send(make.clip(make.file(make.samples(9))))
    assert run("ledger", "verify", "--older", str(older)) == (0, [{"entries": 4, "good": True}])
    out = tmp_path / "log"
    assert run("ledger", "export", str(out))[1][0]["entries"] == 4
    assert run("ledger", "verify", "--export", str(out), "--older", str(older))[0] == 0
    with reading(site.engine) as db:
        assert {"ledger-export"} <= {row["action"] for row in audit.entries(db)}
    lines = (out / "entries.jsonl").read_text(encoding="utf-8")
    (out / "entries.jsonl").write_text(lines.replace("refused", "accepted"), encoding="utf-8")
    status, rows = run("ledger", "verify", "--export", str(out))
    assert status == 1 and rows[-1]["good"] is False


def test_a_backup_made_while_the_server_works_restores_whole(filled, run, tmp_path, speaker, make):
    copy, place = tmp_path / "copy", tmp_path / "again"
    assert run("backup", str(copy))[1][0]["blobs"] == 3
    late = make.clip(make.file(make.samples(11)))
    speaker.send(late)
    assert run("backup", str(copy))[1][0]["blobs"] == 4
    assert run("restore", str(copy), data=place)[0] == 0
    assert run("fsck", data=place) == (0, [{"problems": 0}])
    assert run("ledger", "verify", data=place)[1] == [{"entries": 4, "good": True}]
    assert (place / "keys" / "ledger.pem").stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o077 for path in (copy, place)} == {0}, "names and voices are in both"
    with pytest.raises(CodedError, match="not empty"):
        run("restore", str(copy), data=place)


def test_a_damaged_backup_is_not_brought_back(filled, run, tmp_path):
    copy = tmp_path / "copy"
    run("backup", str(copy))
    victim = next(p for p in (copy / "blobs").rglob("*") if p.is_file())
    victim.write_bytes(b"?")
    with pytest.raises(CodedError, match="damaged"):
        run("restore", str(copy), data=tmp_path / "again")


def test_remeasuring_gives_the_same_figures_and_says_so(filled, run):
    status, rows = run("remeasure")
    assert status == 0 and len(rows) == 2
    assert all(row["changed"] is False and row["snr_db"] == row["snr_db_before"] for row in rows)


def test_withdrawal_by_session_and_by_speaker(filled, run, speaker, site):
    status, (row,) = run("withdraw", "--session", "s1")
    assert (status, row["clips"], len(row["receipts"])) == (0, 3, 3)
    assert run("withdraw", "--speaker", speaker.joined["speaker_id"])[1][0]["receipts"] == []
    assert list(site.store) == []
    assert run("fsck") == (0, [{"problems": 0}])


def test_the_doctor_looks_at_every_part(site, run, settings):
    status, rows = run("doctor")
    assert status == 0 and all(row["ok"] for row in rows)
    assert {"python", "libraries", "clock", "decoder", "data", "disk", "keys", "database"} <= {
        r["part"] for r in rows
    }
    (settings.keys / "ledger.pem").chmod(0o644)
    status, rows = run("doctor")
    assert status == 1
    assert [row["part"] for row in rows if not row["ok"]] == ["keys"]
    shutil.rmtree(settings.data / "blobs")
    assert run("doctor", data=settings.data / "elsewhere")[0] == 0
