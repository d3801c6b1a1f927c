"""A bucket of a real object store: what only it can do, and what is said when it cannot."""

from __future__ import annotations

import operator
import os
import pickle
import ssl
import urllib.request
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from corpus import compute
from corpus.bucket import StoreRefused, StoreUnreachable
from corpus.object_store import ObjectStore, StoreKeepsVersions
from corpus.settings import load
from corpus.store import BlobMissing, LocalStore, copy_blob, open_store

pytestmark = [pytest.mark.s3, pytest.mark.xdist_group("s3")]
WINDOW = 1 << 20


def opened(environ: dict[str, str]) -> ObjectStore:
    store = open_store(load(environ, Path("/nowhere")))
    assert isinstance(store, ObjectStore)
    return store


@pytest.fixture
def bucket(object_server):
    """An empty prefix of the object store."""
    return opened(object_server.environ())


def test_a_folder_and_a_bucket_have_the_same_names(bucket, tmp_path):
    """So that any tool which copies files moves a corpus from one to the other."""
    import obstore

    folder = LocalStore(tmp_path / "blobs")
    kept = folder.put_bytes(b"sound")
    assert copy_blob(folder, bucket, kept) == kept
    assert copy_blob(bucket, LocalStore(tmp_path / "again"), kept) == kept
    names = [item["path"] for page in obstore.list(bucket._client) for item in page]
    assert names == [path.relative_to(folder.folder).as_posix() for path in folder.folder.glob("*/*")]


def test_processes_of_a_release_reach_the_store_and_send_its_errors_home(bucket):
    """They are given the store with their work, and it is opened anew where it arrives."""
    kept = bucket.put_bytes(b"sound")
    ask = operator.methodcaller("size", kept)
    assert list(compute.run("local", ask, [bucket, bucket])) == [5, 5]
    bucket.erase(kept)
    with pytest.raises(BlobMissing) as caught:
        list(compute.run("local", ask, [bucket, bucket]))
    assert caught.value.parameters == {"digest": kept}


@pytest.fixture
def authority(tmp_path):
    """A certificate authority of one's own, in a file, and a server's context that it vouches for."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)

    def certificate(name, public_key, ca, *extensions):
        subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in (name, "ours"))
        made = x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number())
        made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        for extension in (x509.BasicConstraints(ca=ca, path_length=None), *extensions):
            made = made.add_extension(extension, critical=False)
        return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    (tmp_path / "ca.pem").write_bytes(certificate("ours", key.public_key(), True))
    leaf = ec.generate_private_key(ec.SECP256R1())
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    private = leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(
        private + certificate("store", leaf.public_key(), False, alternative)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    return tmp_path / "ca.pem", context


def test_a_store_behind_an_authority_of_ones_own_is_trusted_if_told(object_server, wire, authority):
    """And only then: a stranger in between, with a certificate of his own making, gets no voices."""
    bundle, context = authority
    port = wire(object_server.port, lambda data: data, context)
    environ = object_server.environ(AWS_ENDPOINT_URL_S3=f"https://127.0.0.1:{port}")
    with pytest.raises(StoreUnreachable):
        opened(environ).check()
    store = opened({**environ, "AWS_CA_BUNDLE": str(bundle)})
    assert store.open(store.put_bytes(b"sound")).read() == b"sound"


def test_two_prefixes_know_nothing_of_each_other(bucket, object_server):
    other = opened(object_server.environ(XIANGYIN_STORE_URL=bucket.where + "-2"))
    kept = bucket.put_bytes(b"sound")
    assert kept not in other and list(other) == list(other.strays()) == []
    assert not other.erase(kept) and kept in bucket


def test_bits_that_flip_on_the_wire_are_refused_and_nothing_is_kept(bucket, object_server, wire):
    """The digest is in the signed header: a proxy or a cable that errs makes no blob."""
    port = wire(object_server.port, lambda data: data.replace(b"SOUND", b"SOUNE"))
    address = f"http://127.0.0.1:{port}"
    wrong = opened(object_server.environ(XIANGYIN_STORE_URL=bucket.where, AWS_ENDPOINT_URL_S3=address))
    with pytest.raises(StoreUnreachable):
        wrong.put_bytes(b"SOUND" * 1000)
    assert list(bucket) == []
    assert bucket.put_bytes(b"SOUND" * 1000) in bucket


def test_a_key_that_cannot_be_read_hides_no_blob_and_is_named(bucket, object_server):
    """Control characters make the library refuse a whole page; blobs are listed past them."""
    kept = bucket.put_bytes(b"sound")
    prefix = bucket.where.removeprefix("s3://")
    address = f"http://127.0.0.1:{object_server.filer_port}/buckets/{prefix}/x%0Ay"
    urllib.request.urlopen(urllib.request.Request(address, data=b"?", method="PUT"), timeout=10).close()
    assert list(bucket) == [kept]
    (stray,) = bucket.strays()
    assert stray.endswith(r"x\ny")


def test_a_blob_that_is_erased_while_it_is_read_is_said_to_be_missing(bucket):
    data = os.urandom(2 * WINDOW)
    kept = bucket.put_bytes(data)
    with bucket.open(kept) as blob:
        assert blob.read(10) == data[:10]
        bucket.erase(kept)
        blob.seek(-10, os.SEEK_END)
        with pytest.raises(BlobMissing):
            blob.read(10)


@pytest.mark.parametrize(
    ("wrong", "kind", "problem"),
    [
        ({"XIANGYIN_STORE_URL": "s3://no-such-bucket/x"}, StoreRefused, "NoSuchBucket"),
        ({"AWS_SECRET_ACCESS_KEY": "guessed"}, StoreRefused, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, StoreRefused, "InvalidAccessKeyId"),
        (
            {"AWS_ACCESS_KEY_ID": "reader-key", "AWS_SECRET_ACCESS_KEY": "reader-secret"},
            StoreRefused,
            "AccessDenied",
        ),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, StoreUnreachable, "NoConnection"),
        ({"AWS_ENDPOINT_URL_S3": "http://store.invalid"}, StoreUnreachable, "NoConnection"),
        ({"XIANGYIN_STORE_URL": "s3://versioned/x"}, StoreKeepsVersions, None),
    ],
    ids=["bucket", "secret", "key", "rights", "endpoint", "name", "versions"],
)
def test_what_is_wrong_with_a_store_is_said_without_keys_and_addresses(object_server, wrong, kind, problem):
    environ = {**object_server.environ(), **wrong}
    with pytest.raises(kind) as caught:
        opened(environ).check()
    assert caught.value.parameters.get("problem") == problem
    assert caught.value.http_status == 503
    assert environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # workers send it home
