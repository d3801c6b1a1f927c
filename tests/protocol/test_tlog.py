"""The log's mathematics against RFC 6962, and receipts against every kind of tampering."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from protocol import tlog
from protocol.clip import Receipt
from protocol.tlog import ReceiptInvalid

# The leaves and roots that implementations of RFC 6962 share as test vectors.
LEAVES = [
    bytes.fromhex(h)
    for h in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {  # (index from 0, size): the audit path
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH, word for word as section 2.1 defines it."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + defined_root(leaves[:k]) + defined_root(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_shared_vectors(size):
    assert tlog.root(size, tlog.tree_of(LEAVES)).hex() == ROOTS[size]


@pytest.mark.parametrize("place", PATHS)
def test_audit_paths_are_those_of_the_shared_vectors(place):
    assert [h.hex() for h in tlog.inclusion_proof(*place, tlog.tree_of(LEAVES))] == PATHS[place]


@given(st.lists(st.binary(max_size=3), max_size=40))
def test_the_root_is_the_defined_one(leaves):
    assert tlog.root(len(leaves), tlog.tree_of(leaves)) == defined_root(leaves)


ENTRIES = [b"%d" % n for n in range(21)]
TREE = tlog.tree_of(ENTRIES)


@pytest.mark.parametrize("size", range(1, 22))
def test_each_leaf_is_proved_at_its_own_place_and_at_no_other(size):
    root = tlog.root(size, TREE)
    for index in range(size):
        proof = tlog.inclusion_proof(index, size, TREE)
        leaf = tlog.leaf_hash(ENTRIES[index])
        assert tlog.verify_inclusion(leaf, index, size, proof, root)
        for other in range(-1, size + 2):
            if other != index:
                assert not tlog.verify_inclusion(leaf, other, size, proof, root)
        assert not tlog.verify_inclusion(tlog.leaf_hash(b"x"), index, size, proof, root)
        assert not tlog.verify_inclusion(leaf, index, size, [*proof, root], root)
        assert not (proof and tlog.verify_inclusion(leaf, index, size, proof[1:], root))


@pytest.mark.parametrize("new", range(1, 22))
def test_a_longer_log_is_shown_to_extend_every_shorter_one(new):
    new_root = tlog.root(new, TREE)
    for old in range(new + 1):
        proof = tlog.consistency_proof(old, new, TREE)
        old_root = tlog.root(old, TREE)
        assert tlog.verify_consistency(old, new, proof, old_root, new_root)
        forged = hashlib.sha256(old_root).digest()
        assert not tlog.verify_consistency(old, new, proof, forged, new_root)
        if old < new:
            assert not tlog.verify_consistency(old, new, proof, old_root, forged) or old == 0
        if proof:
            assert not tlog.verify_consistency(old, new, proof[:-1], old_root, new_root)
            assert not tlog.verify_consistency(old, new, [*proof, forged], old_root, new_root)


@given(st.integers(1, 30), st.data())
def test_a_rewritten_log_cannot_be_shown_to_extend(size, data):
    """Edit one entry of the older part: no proof made from the new tree convinces the old head."""
    old = data.draw(st.integers(1, size))
    edited = data.draw(st.integers(0, old - 1))
    entries = [b"%d" % n for n in range(size)]
    before = tlog.root(old, tlog.tree_of(entries))
    entries[edited] = b"edited"
    tree = tlog.tree_of(entries)
    proof = tlog.consistency_proof(old, size, tree)
    assert not tlog.verify_consistency(old, size, proof, before, tlog.root(size, tree))


def verify_ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_a_note_made_by_another_implementation_opens():
    """The example printed in the documentation of golang.org/x/mod/sumdb/note."""
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    key = tlog.VerifierKey.parse(vkey)
    assert str(key) == vkey
    note = f"{text}\n— PeterNeumann {signature}\n"
    assert tlog.open_note(note, key, verify_ed25519) == text
    with pytest.raises(ReceiptInvalid, match="signature"):
        tlog.open_note(note.replace("answer", "solution"), key, verify_ed25519)


SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = tlog.VerifierKey("xiangyin.example/log", SECRET.public_key().public_bytes_raw())


def a_receipt() -> Receipt:
    details = {"clip_id": "c", "payable_ms": 1200, "snr_db": 31.5}
    salt = bytes(range(16))
    entries = [rfc8785.dumps({"seq": n, "event": "accepted", "commitment": "0"}) for n in range(5)]
    entries.append(
        rfc8785.dumps(
            {"seq": 5, "event": "accepted", "commitment": tlog.commitment(salt, rfc8785.dumps(details))}
        )
    )
    tree = tlog.tree_of(entries)
    note = tlog.sign_note(tlog.Checkpoint(KEY.name, 6, tlog.root(6, tree)).text(), KEY, SECRET.sign)
    proof = tlog.proof_text(5, tlog.inclusion_proof(5, 6, tree), note)
    return Receipt(entries[5].decode(), details, salt.hex(), proof, str(KEY))


def check(receipt: Receipt) -> tlog.Checkpoint:
    return tlog.check_receipt(receipt, verify_ed25519=verify_ed25519, canonical=rfc8785.dumps)


def test_a_receipt_holds_and_gives_the_head_to_keep():
    assert check(a_receipt()).size == 6


OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
OTHER_KEY = tlog.VerifierKey(KEY.name, OTHER.public_key().public_bytes_raw())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: replace(r, details={**r.details, "payable_ms": 1201}), "details"),
        (lambda r: replace(r, salt="00" * 16), "details"),
        (lambda r: replace(r, salt="00" * 15), "16 bytes"),
        (lambda r: replace(r, entry=r.entry.replace("accepted", "refused")), "not in the signed log"),
        (lambda r: replace(r, entry=r.entry.replace(":5", ":4")), "another place"),
        (lambda r: replace(r, entry=" " + r.entry), "canonical"),
        (lambda r: replace(r, proof=r.proof.replace("index 5", "index 4")), "another place"),
        (lambda r: replace(r, proof=r.proof.replace("\n6\n", "\n7\n")), "signature"),
        (lambda r: replace(r, vkey=str(OTHER_KEY)), "not signed by this key"),
        (lambda r: replace(r, proof=r.proof.replace("@v1", "@v2")), "form"),
        (lambda r: replace(r, proof=""), "form"),
        (lambda r: replace(r, entry="["), "readable"),
        (lambda r: replace(r, entry="[]"), "canonical"),
    ],
)
def test_a_changed_receipt_is_refused_with_what_is_wrong(change, says):
    with pytest.raises(ReceiptInvalid, match=says):
        check(change(a_receipt()))


def test_a_witness_may_add_its_own_line_to_a_head():
    receipt = a_receipt()
    witness = "— witness.example " + base64.b64encode(b"1234" + bytes(64)).decode() + "\n"
    assert check(replace(receipt, proof=receipt.proof + witness)).size == 6
