"""The server's own secrets: made at first start, readable by their owner alone, refused when they are not."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from corpus.disk import write_durably
from protocol.errors import CodedError
from protocol.tlog import VerifierKey

_SECRET_BYTES = 32


class KeyUnsafe(CodedError):
    """A key file that others can read, or that holds no good key."""

    code: ClassVar[str] = "KEY_UNSAFE"


@dataclass(frozen=True)
class Signer:
    """The private half of the log's key."""

    verifier: VerifierKey
    private: Ed25519PrivateKey

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
    """The log's key in `folder`, made there if there is none.

    Its name is the log's origin: random, so that no two logs share one, and never changed.

    Raises
    ------
    KeyUnsafe
        If others can read the file or it holds no Ed25519 key.
    """
    path, name_path = folder / "ledger.pem", folder / "ledger.origin"
    _make_folder(folder)
    if not path.exists():
        if not name_path.exists():
            write_durably(name_path, f"xiangyin/{secrets.token_hex(8)}\n".encode())
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_durably(path, pem, mode=0o600)
    _check_mode(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        name = name_path.read_text(encoding="ascii").strip()
    except (ValueError, OSError) as error:
        raise KeyUnsafe(file=str(path), problem=str(error) or "it is not a private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnsafe(file=str(path), problem="it is not an Ed25519 key")
    return Signer(VerifierKey(name, key.public_key().public_bytes_raw()), key)


def secret(path: Path) -> bytes:
    """The server's secret in `path`, made there if there is none."""
    _make_folder(path.parent)
    if not path.exists():
        write_durably(path, secrets.token_bytes(_SECRET_BYTES).hex().encode(), mode=0o600)
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
