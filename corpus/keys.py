"""The server's own secrets: made at first start, readable by their owner alone, refused when they are not.

The log's first private key is ``ledger.pem``; each later one is ``ledger-ID.pem``, after its key id, and lies
there before any entry names it. Which of them signs is for `corpus.keyring` to say.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from corpus import filelocks
from corpus.disk import sync_path, write_durably
from protocol.errors import CodedError
from protocol.tlog import VerifierKey

_SECRET_BYTES = 32
FIRST, _ORIGIN = "ledger.pem", "ledger.origin"


class KeyUnsafe(CodedError):
    """A key file that others can read, or that holds no good key."""

    code: ClassVar[str] = "KEY_UNSAFE"


@dataclass(frozen=True)
class Signer:
    """The private half of a key of the log, and the folder of the others."""

    verifier: VerifierKey
    private: Ed25519PrivateKey
    folder: Path

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature."""
        return self.private.sign(message)


def verify_ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the signature is good."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def signer(folder: Path) -> Signer:
    """A key of the log in `folder`, made there if there is none: the first one, while it is there.

    Its name is the log's origin: random, so that no two logs share one, and never changed.

    Raises
    ------
    KeyUnsafe
        If others can read the file or it holds no Ed25519 key.
    """
    name_path = folder / _ORIGIN
    _make_folder(folder)
    if not (there := _files(folder)):
        if not name_path.exists():
            write_durably(name_path, f"xiangyin/{secrets.token_hex(8)}\n".encode())
        write_durably(folder / FIRST, _pem(Ed25519PrivateKey.generate()), mode=0o600)
        there = [folder / FIRST]
    return _load(there[0])


def signer_of(folder: Path, key: VerifierKey) -> Signer:
    """The private half of this key.

    Raises
    ------
    KeyUnsafe
        If it is not in `folder`, or is not as it must be.
    """
    path = folder / _name_of(key)
    return _loaded(path if path.exists() else folder / FIRST, key)


@contextmanager
def successor(folder: Path, known: Callable[[VerifierKey], bool]) -> Iterator[Signer]:
    """Hold the folder alone with a key that may follow: one made before and never announced, or a new one.

    Parameters
    ----------
    known : callable
        Whether an entry of the log names a key.
    """
    with (folder / "rotation.lock").open("a") as lock:
        filelocks.take(lock.fileno(), filelocks.ALONE)
        waiting = (_load(path) for path in _files(folder) if path.name != FIRST)
        found = next((one for one in waiting if not known(one.verifier)), None)
        yield found or _made(folder)


def destroy(folder: Path, keep: VerifierKey) -> list[str]:
    """Delete every private key but one; the names of the deleted. What no longer signs can only be stolen."""
    gone = [path for path in _files(folder) if _load(path).verifier != keep]
    for path in gone:
        path.unlink()
    if gone:
        sync_path(folder)
    return [path.name for path in gone]


def _made(folder: Path) -> Signer:
    private = Ed25519PrivateKey.generate()
    name = (folder / _ORIGIN).read_text(encoding="ascii").strip()
    made = Signer(VerifierKey(name, private.public_key().public_bytes_raw()), private, folder)
    write_durably(folder / _name_of(made.verifier), _pem(private), mode=0o600)
    return made


def _pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _files(folder: Path) -> list[Path]:
    """Files of private keys, the first key's first."""
    first = folder / FIRST
    return [*([first] if first.exists() else []), *sorted(folder.glob("ledger-????????.pem"))]


def _name_of(key: VerifierKey) -> str:
    return f"ledger-{key.key_id.hex()}.pem"


@functools.lru_cache(maxsize=64)  # the file of a key never changes
def _loaded(path: Path, key: VerifierKey) -> Signer:
    found = _load(path)
    if found.verifier != key:
        raise KeyUnsafe(file=str(path), problem=f"the log's present key {key.key_id.hex()} is another one")
    return found


def _load(path: Path) -> Signer:
    try:
        _check_mode(path)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        name = (path.parent / _ORIGIN).read_text(encoding="ascii").strip()
    except (ValueError, OSError) as error:
        raise KeyUnsafe(file=str(path), problem=str(error) or "it is not a private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnsafe(file=str(path), problem="it is not an Ed25519 key")
    return Signer(VerifierKey(name, key.public_key().public_bytes_raw()), key, path.parent)


def new_secret(path: Path) -> None:
    """Write a fresh secret to `path`, in place of the one there."""
    write_durably(path, secrets.token_bytes(_SECRET_BYTES).hex().encode(), mode=0o600)


def secret(path: Path) -> bytes:
    """The server's secret in `path`, made there if there is none."""
    _make_folder(path.parent)
    if not path.exists():
        new_secret(path)
    _check_mode(path)
    try:
        value = path.read_bytes().strip()
    except OSError as error:
        raise KeyUnsafe(file=str(path), problem=str(error)) from error
    if len(value) < _SECRET_BYTES or len(set(value)) < 8:
        raise KeyUnsafe(file=str(path), problem="it is too short or too regular to be a secret")
    return value


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _check_mode(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise KeyUnsafe(file=str(path), problem=f"its mode is {mode:04o}")
