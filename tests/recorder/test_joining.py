"""Joining: an invitation becomes a credential that only its user can read, once, also after lost answers."""

from __future__ import annotations

import json
import secrets
import stat
import sys

import pytest

from protocol.errors import CodedError
from recorder import credentials, joining
from recorder.api import Api

SPEAKER = {"gender": "female", "age_band": "30-39", "region": "臺南", "native_language": "nan-Hant-TW"}


def join(url, folder, agree=lambda asked: SPEAKER):
    return joining.join(
        url,
        folder,
        agree,
        new_nonce=lambda: secrets.token_hex(16),
        now_utc=lambda: "2026-01-31T08:00:00Z",
        language="en",
    )


def test_a_speaker_reads_the_consent_before_anything_is_sent(invitations, tmp_path):
    asked = []
    member, path = join(next(invitations), tmp_path, lambda text: asked.append(text) or SPEAKER)
    (text,) = asked
    assert text.title == "臺語街談" and text.license and len(text.text) > 100
    assert member.consent.version == text.version
    assert credentials.choose(tmp_path, role="speaker") == member
    assert json.loads(path.read_text())["token"] == member.token


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_the_credential_is_for_its_user_alone(member, tmp_path):
    (path,) = (tmp_path / "config" / "memberships").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert member.token not in repr(member)


def test_all_that_recording_needs_is_kept(member, tmp_path):
    (kept,) = credentials.memberships(tmp_path / "config")
    assert set(kept.project_json) >= {"profile", "prompts", "consent", "terms", "title", "language"}
    assert kept.vkeys and kept == member


def test_a_no_sends_nothing_and_uses_nothing_up(invitations, tmp_path):
    url = next(invitations)
    with pytest.raises(CodedError, match="Without your consent"):
        join(url, tmp_path, lambda asked: None)
    assert credentials.memberships(tmp_path) == []
    assert join(url, tmp_path)[0].role == "speaker"


def test_a_used_invitation_says_so(invitations, tmp_path):
    url = next(invitations)
    join(url, tmp_path / "one")
    with pytest.raises(CodedError) as caught:
        join(url, tmp_path / "other")
    assert caught.value.parameters["reason"] == "INVITATION_INVALID"


@pytest.mark.parametrize("lost", [{1}, {2}, {3}, {1, 2}])
def test_a_lost_answer_does_not_use_the_invitation_up(invitations, network, intake, tmp_path, lost):
    """The server made the member and the client never heard: asking again gives the same one."""
    url = next(invitations).replace(intake.url, network.url)
    network.lose_answers = lost
    people = set()
    for _ in range(4):
        try:
            people.add(join(url, tmp_path)[0].person_id)
        except CodedError as error:
            assert error.code == "SERVER_UNREACHABLE"
        else:
            break
    assert len(people) == 1
    (member,) = credentials.memberships(tmp_path)
    assert member.consent.version
    assert Api(intake.url, member.token).get("/api/v1/project")["person_id"] == member.person_id


def test_other_roles_join_without_a_voice(intake, tmp_path):
    (url,) = intake.invitations(1, "transcriber")
    member, _ = join(url, tmp_path, lambda asked: pytest.fail("a transcriber gives no voice"))
    assert member.role == "transcriber" and member.consent is None
    with pytest.raises(CodedError, match="xiangyin join"):
        credentials.choose(tmp_path, role="speaker")


@pytest.mark.parametrize(
    ("url", "server", "secret"),
    [
        ("https://voices.example/join/abc-123", "https://voices.example", "abc-123"),
        ("http://127.0.0.1:8000/join/abc ", "http://127.0.0.1:8000", "abc"),
        ("https://example.org/corpus/join/abc", "https://example.org/corpus", "abc"),
    ],
)
def test_an_invitation_names_server_and_secret(url, server, secret):
    assert credentials.parse_invitation(url) == (server, secret)


@pytest.mark.parametrize(
    "url",
    ["", "abc", "https://voices.example/", "ftp://x/join/abc", "https:///join/abc", "https://x/join/",
     "https://user:pw@x/join/abc", "https://x:99999/join/abc", "javascript:/join/abc"],
)  # fmt: skip
def test_what_is_no_invitation_is_refused(url):
    with pytest.raises(CodedError) as caught:
        credentials.parse_invitation(url)
    assert caught.value.code == "INVITATION_LINK_INVALID"


def test_a_server_that_is_something_else_is_told(tmp_path):
    with pytest.raises(CodedError) as caught:
        join("http://127.0.0.1:9/join/abcdefghijklmnopqrst", tmp_path)
    assert caught.value.code == "SERVER_UNREACHABLE"


def test_folders_follow_the_environment(tmp_path):
    assert credentials.config_folder({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "xiangyin"
    assert credentials.data_folder({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "xiangyin"
    assert credentials.data_folder({"XIANGYIN_RECORDER_DATA": "/x", "XDG_DATA_HOME": "/y"}).as_posix() == "/x"


def test_a_damaged_membership_is_named(member, tmp_path):
    (path,) = (tmp_path / "config" / "memberships").iterdir()
    path.write_text("{")
    with pytest.raises(CodedError, match="join again") as caught:
        credentials.memberships(tmp_path / "config")
    assert caught.value.code == "MEMBERSHIP_DAMAGED"
