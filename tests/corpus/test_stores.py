"""What every store of blobs must do, held to a folder and to a bucket of a real object store."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from corpus.settings import load
from corpus.store import BlobMissing, LocalStore, as_file, digest_of, name_of, open_store
from protocol.clip import Sha256

S3 = [pytest.mark.s3, pytest.mark.xdist_group("s3")]
WINDOW = 1 << 20


@pytest.fixture(params=["folder", pytest.param("bucket", marks=S3)])
def store(request, tmp_path):
    """An empty store of each kind."""
    if request.param == "folder":
        return LocalStore(tmp_path / "blobs")
    return open_store(load(request.getfixturevalue("object_server").environ(), tmp_path))


def write(store, name: str, data: bytes) -> None:
    """What a stranger's hand, or another tool, may leave in a store."""
    if isinstance(store, LocalStore):
        path = store.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    else:
        import obstore

        obstore.put(store._client, name, data)


def digest(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("size", [0, 1, 65_537, WINDOW, 2 * WINDOW + 3])
def test_a_blob_is_found_by_its_digest_and_once(store, tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "source").write_bytes(data)
    assert store.put_bytes(data) == store.put(tmp_path / "source") == digest(data)
    assert list(store) == [digest(data)] and digest(data) in store
    assert store.size(digest(data)) == size
    with store.open(digest(data)) as blob:
        assert blob.read() == data
    assert store.erase(digest(data)) and not store.erase(digest(data))
    assert digest(data) not in store and list(store) == []
    for ask in (store.open, store.size):
        with pytest.raises(BlobMissing):
            ask(digest(data))


DAMAGES = [
    lambda data: data[:99] + bytes([data[99] ^ 1]) + data[100:],
    lambda data: data[:-1],
    lambda data: b"",
    lambda data: data + b"more",
]


@pytest.mark.parametrize("damage", DAMAGES, ids=["a bit", "cut", "emptied", "longer"])
@pytest.mark.parametrize("way", ["put", "put_bytes", "adopt"])
def test_a_damaged_blob_gives_way_to_the_same_bytes_when_they_come_again(
    store, tmp_path, caplog, way, damage
):
    """Else the second clip would be acknowledged on top of what rotted; the first is mended by it."""
    data = os.urandom(70_000)
    kept = store.put_bytes(data)
    write(store, name_of(kept), damage(data))
    (tmp_path / "source").write_bytes(data)
    more = {"put": (tmp_path / "source",), "put_bytes": (data,), "adopt": (tmp_path / "source", kept)}
    assert getattr(store, way)(*more[way]) == kept
    assert store.open(kept).read() == data
    assert list(store) == [kept] and list(store.strays()) == []
    assert way == "put" or kept in caplog.text  # what spoils one blob may spoil others: somebody should know


STEP = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 2 * WINDOW)),
    st.tuples(st.just("seek"), st.integers(0, 3 * WINDOW)),
    st.tuples(st.just("from end"), st.integers(-2 * WINDOW, 0)),
)


@run_with(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # one store will do
@given(steps=st.lists(STEP, max_size=6))
def test_a_reader_reads_as_a_file_does(store, steps):
    """Decoders and range requests seek about; each must get the bytes of the place that it asked for."""
    data = hashlib.shake_256(b"sound").digest(2 * WINDOW + 77)
    reader, wanted = store.open(store.put_bytes(data)), io.BytesIO(data)
    with reader:
        for action, number in steps:
            if action == "read":
                assert reader.read(number) == wanted.read(number)
            elif action == "seek":
                assert reader.seek(number) == wanted.seek(number)
            else:
                assert reader.seek(number, os.SEEK_END) == wanted.seek(number, os.SEEK_END)
            assert reader.tell() == wanted.tell()


NAMES = ["notes.txt", "ab/notes.txt", f"ab/{'c' * 61}", f"ab/{'c' * 63}", f"AB/{'c' * 62}", f"ab/{'C' * 62}"]
NAMES += [f"abc/{'d' * 62}", "a b", "<b>", "鄉音", "%2e%2e", "ab/cd/ef", ".hidden", "x'y\"z", f"{'a' * 64}"]


def test_a_name_that_no_blob_has_is_a_stray_and_goes_aside_whole(store, tmp_path):
    """A stranger's file beside the blobs is neither taken for a sound nor thrown away."""
    kept = store.put_bytes(b"sound")
    for name in NAMES:
        write(store, name, name.encode())
    assert list(store) == [kept]
    assert sorted(store.strays()) == sorted(NAMES)
    moved = [store.aside(name, tmp_path / "quarantine") for name in sorted(store.strays())]
    assert [path.read_bytes().decode() for path in moved] == sorted(NAMES)
    assert len({path.resolve().parent for path in moved}) == 1  # no name leads out of the folder
    assert list(store.strays()) == [] and list(store) == [kept]


def test_a_young_temporary_name_is_nobodys_stray(store):
    write(store, ".0123456789abcdef.part", b"half")
    assert list(store.strays()) == [] and list(store) == []


def test_a_blob_goes_aside_under_its_digest_and_only_once(store, tmp_path):
    kept = store.put_bytes(b"sound")
    moved = store.aside(name_of(kept), tmp_path / "quarantine")
    assert moved.name == kept and moved.read_bytes() == b"sound" and kept not in store
    assert store.aside(name_of(kept), tmp_path / "quarantine") is None
    store.put_bytes(b"sound")
    assert store.aside(name_of(kept), tmp_path / "quarantine").name == f"{kept}.1"
    assert sorted(path.name for path in (tmp_path / "quarantine").iterdir()) == [kept, f"{kept}.1"]


def test_a_check_leaves_nothing_behind(store):
    store.check()
    assert list(store) == list(store.strays()) == []


def test_writers_of_one_blob_at_once_make_one_blob(store):
    """The same take sent to two servers: each must be told that it is there, and it is."""
    data = os.urandom(300_000)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(store.put_bytes, [data] * 16)) == {digest(data)}
    assert list(store) == [digest(data)] and store.open(digest(data)).read() == data


def test_a_blob_can_be_handed_to_another_process_as_a_file(store):
    data = os.urandom(WINDOW + 5)
    with as_file(store, store.put_bytes(data)) as file:
        assert os.pread(file.fileno(), len(data) + 1, 0) == data and file.tell() == 0


def test_a_worker_gets_the_store_with_its_work(store):
    kept = store.put_bytes(b"sound")
    assert pickle.loads(pickle.dumps(store)).open(kept).read() == b"sound"


@given(st.binary(max_size=300))
def test_a_name_and_a_digest_say_the_same(data):
    assert digest_of(name_of(digest(data))) == digest(data)
