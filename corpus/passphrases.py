"""Passphrases: scrypt with its parameters kept beside the hash, and which ones are too weak.

The parameters are one of the equal choices of the OWASP Password Storage Cheat Sheet (N = 2^15, r = 8,
p = 3): 32 MiB a check, so that many at once do not fill the machine. The rule is that of ASVS 5.0,
6.2: length alone and not a well-known one; no demands of digits or symbols.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import unicodedata
from itertools import pairwise
from typing import ClassVar

from protocol.errors import CodedError

LEAST_CHARACTERS = 12
MOST_CHARACTERS = 128
_COST, _BLOCK, _PARALLEL = 1 << 15, 8, 3
_MEMORY_BYTES = 64 << 20
_AT_ONCE = threading.BoundedSemaphore(2)  # guards memory; who waits is answered later, not refused

# Pieces of which the best-known long ones are made; one that is only these, repeated, is no secret.
_COMMON: tuple[str, ...] = (
    "password", "passphrase", "passwort", "qwerty", "qwertz", "azerty", "asdfgh", "zxcvbn", "1q2w3e4r",
    "123456789", "1234567890", "12345678", "123456", "1234", "123", "0987654321", "987654321", "abcdefg",
    "abcdef", "abcd", "abc", "abc123", "iloveyou", "letmein", "welcome", "admin", "administrator", "monkey",
    "dragon", "sunshine", "princess", "football", "baseball", "superman", "trustno1", "changeme", "secret",
    "login", "master", "hello", "test", "qazwsx", "woaini", "woaini1314", "5201314", "1314520", "xiangyin",
    "鄉音", "乡音", "password1", "p@ssw0rd", "密碼", "密码", "correct", "horse", "battery", "staple",
)  # fmt: skip


class PassphraseWeak(CodedError):
    """Too short, too long, or one that everybody tries first."""

    code: ClassVar[str] = "PASSPHRASE_WEAK"


def normal(text: str) -> str:
    """The form that is hashed: what two keyboards write alike is one passphrase."""
    return unicodedata.normalize("NFKC", text)


def check_strength(text: str, personal: tuple[str, ...] = ()) -> None:
    """Refuse a weak passphrase.

    Parameters
    ----------
    personal : tuple of str
        Code and name of the person: a passphrase made of them is refused.

    Raises
    ------
    PassphraseWeak
        Naming the least number of characters.
    """
    form = normal(text)
    folded = "".join(c for c in form.casefold() if c.isalnum())
    known = sorted((*_COMMON, *(p.casefold() for p in personal if p)), key=len, reverse=True)
    rest = folded
    for piece in known:
        rest = rest.replace("".join(c for c in piece if c.isalnum()) or "\0", "")
    if (
        not LEAST_CHARACTERS <= len(form) <= MOST_CHARACTERS
        or any("\ud800" <= c <= "\udfff" for c in form)
        or len(set(folded)) < 4
        or len(rest) < 4
        or _is_run(folded)
    ):
        raise PassphraseWeak(least=LEAST_CHARACTERS, most=MOST_CHARACTERS)


def hashed(text: str, salt: bytes) -> str:
    """What is stored: parameters, salt and hash."""
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${salt.hex()}${_scrypt(text, salt).hex()}"


def fits(text: str, stored: str | None) -> bool:
    """Whether this is the passphrase; without a stored one it takes as long and is not."""
    if stored is None:
        _scrypt(text, b"\0" * 16)
        return False
    _, cost, block, parallel, salt, wanted = stored.split("$")
    found = _scrypt(text, bytes.fromhex(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, bytes.fromhex(wanted))


def is_outdated(stored: str) -> bool:
    """Whether it was hashed with other parameters than today's, and should be hashed again."""
    return not stored.startswith(f"scrypt${_COST}${_BLOCK}${_PARALLEL}$")


def _scrypt(
    text: str, salt: bytes, cost: int = _COST, block: int = _BLOCK, parallel: int = _PARALLEL
) -> bytes:
    secret = normal(text[: 4 * MOST_CHARACTERS]).encode("utf-8", "surrogatepass")
    with _AT_ONCE:
        return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=parallel, maxmem=_MEMORY_BYTES, dklen=32)


def _is_run(text: str) -> bool:
    """Whether each character follows from the one before, as in 123456789012 or aaaaaaaaaaaa."""
    steps = {ord(b) - ord(a) for a, b in pairwise(text)}
    return len(steps - {-9, 9}) <= 1
