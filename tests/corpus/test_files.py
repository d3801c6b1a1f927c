"""Settings, blobs and unfinished uploads on disk."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.disk import DiskFull, need_room, write_durably
from corpus.partials import OffsetMismatch, Partials, UploadBusy, UploadOverflow
from corpus.settings import SettingInvalid, load, table
from corpus.store import LocalStore

ID = "0" * 32


def test_environment_wins_over_file_and_file_over_defaults(tmp_path):
    (tmp_path / "xiangyin.toml").write_text('max_clip_s = 60\npublic_url = "https://a.example"\n')
    found = load({"XIANGYIN_MAX_CLIP_S": "30"}, tmp_path)
    assert (found.max_clip_s, found.public_url, found.threads) == (30, "https://a.example", 16)
    assert load({"XIANGYIN_DATA": str(tmp_path)}).data == tmp_path
    assert load({"XIANGYIN_STORE_URL": "file:///mnt/blobs"}, tmp_path).blobs.as_posix() == "/mnt/blobs"


@pytest.mark.parametrize(
    ("environ", "file"),
    [
        ({"XIANGYIN_MAX_CLIP_S": "1_0"}, ""),
        ({"XIANGYIN_MAX_CLIP_S": "-1"}, ""),
        ({"XIANGYIN_MAX_CLIP_S": "٣"}, ""),
        ({"XIANGYIN_PUBLIC_URL": "voices.example"}, ""),
        ({"XIANGYIN_DATABASE_URL": "mysql://x"}, ""),
        ({"XIANGYIN_COMPUTE": "cloud"}, ""),
        ({"XIANGYIN_STORE_URL": "s3:/bucket/x"}, ""),
        ({"XIANGYIN_STORE_URL": "s3://Bucket"}, ""),
        ({"XIANGYIN_STORE_URL": "s3://bucket//x"}, ""),
        ({"XIANGYIN_STORE_URL": "s3://bucket/../x"}, ""),
        ({"XIANGYIN_STORE_URL": "s3://bucket/x?y"}, ""),
        ({"XIANGYIN_STORE_URL": "s3://key:secret@bucket/x"}, ""),
        ({"XIANGYIN_STORE_URL": "s3://bucket", "AWS_ENDPOINT_URL": "store.example"}, ""),
        ({"XIANGYIN_STORE_URL": "s3://bucket", "AWS_ENDPOINT_URL": "https://store.example"}, ""),
        ({"XIANGYIN_STORE_URL": "s3://bucket", "AWS_ACCESS_KEY_ID": "a"}, ""),
        ({}, "max_clip_s = true"),
        ({}, "max_clip = 3"),
        ({}, "max_clip_s ="),
        ({}, "store_url = 3"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(tmp_path, environ, file):
    (tmp_path / "xiangyin.toml").write_text(file)
    with pytest.raises(SettingInvalid):
        load(environ, tmp_path)


def test_every_setting_says_what_it_is():
    assert all(name.startswith("XIANGYIN_") and says for name, _, says in table())


def test_the_usual_variables_are_kept_for_a_bucket_alone_and_never_printed(tmp_path):
    """A folder's server has no use for the keys of a cloud; a traceback or a log must not show them."""
    environ = {"AWS_ACCESS_KEY_ID": "name", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "r", "AWS_X": "y"}
    assert load(environ, tmp_path).aws == {}
    found = load({**environ, "XIANGYIN_STORE_URL": "s3://bucket/prefix"}, tmp_path)
    assert found.aws == {"AWS_ACCESS_KEY_ID": "name", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "r"}
    assert "hush" not in repr(found)


def test_a_store_holds_no_half_written_file(tmp_path):
    store = LocalStore(tmp_path)
    with pytest.raises(KeyError), store._new_file() as (_, file):
        file.write(b"half")
        raise KeyError
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def piece(partials, file, offset, data, length=100):
    return partials.append(file, offset, length, (data,), len(data))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
def test_pieces_in_order_make_the_whole_and_the_size_is_the_offset(pieces):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        partials = Partials(Path(folder))
        whole = b"".join(pieces)
        for data in pieces:
            with partials.locked(ID) as file:
                piece(partials, file, partials.offset(ID), data, len(whole))
        assert partials.offset(ID) == len(whole)
        assert not pieces or partials.path(ID).read_bytes() == whole


def test_a_wrong_offset_and_a_surplus_write_nothing(tmp_path):
    partials = Partials(tmp_path)
    with partials.locked(ID) as file:
        piece(partials, file, 0, b"12345")
        for offset in (0, 4, 6):
            with pytest.raises(OffsetMismatch):
                piece(partials, file, offset, b"x")
        with pytest.raises(UploadOverflow):
            piece(partials, file, 5, b"x" * 96)
    assert partials.path(ID).read_bytes() == b"12345"


def test_a_second_holder_is_told_at_once(tmp_path):
    partials = Partials(tmp_path)
    with partials.locked(ID), pytest.raises(UploadBusy), Partials(tmp_path).locked(ID):
        pass
    with partials.locked(ID):
        pass


def test_what_a_failed_write_left_is_truncated_away(tmp_path):
    """A real failure: the file may not grow beyond a limit that the system enforces."""
    pid = os.fork()
    if pid == 0:
        import resource
        import signal

        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
            partials = Partials(tmp_path)
            with partials.locked(ID) as file:
                piece(partials, file, 0, b"x" * 40)
                try:
                    piece(partials, file, 40, b"y" * 40)
                except DiskFull:
                    status = 0 if partials.offset(ID) == 40 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert Partials(tmp_path).path(ID).read_bytes() == b"x" * 40


def test_a_reserve_is_kept(tmp_path):
    need_room(tmp_path, 0, 0)
    with pytest.raises(DiskFull):
        need_room(tmp_path, 1, 1 << 60)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a"
    write_durably(path, b"one", mode=0o600)
    write_durably(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two" and path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
