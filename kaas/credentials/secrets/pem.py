"""Private keys and certificates in PEM, looked at without being used."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PKCS8: Final = "-----BEGIN PRIVATE KEY-----"
SMALLEST: Final = 2048  # bits; NIST SP 800-131A


class KeyFault(Enum):
    """What is wrong with a private key."""

    ESCAPED = auto()
    ENCRYPTED = auto()
    OTHER_FORM = auto()
    NO_KEY = auto()
    UNREADABLE = auto()
    NOT_RSA = auto()
    SHORT = auto()
    DAMAGED = auto()


def key_fault(pem: str) -> KeyFault | None:
    """What keeps a text from being an RSA key in PKCS#8; None when nothing does.

    That its parts belong together is checked by arithmetic on them, in microseconds: OpenSSL's own check tests for
    primes, which takes 40 ms at 2,048 bits and seconds at 8,192, and whoever may create a Secret chooses the size.
    """
    if form := _form(pem):
        return form
    try:
        key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return KeyFault.UNREADABLE
    if not isinstance(key, RSAPrivateKey):
        return KeyFault.NOT_RSA
    if key.key_size < SMALLEST:
        return KeyFault.SHORT
    return None if _belongs_together(key.private_numbers()) else KeyFault.DAMAGED


def _form(pem: str) -> KeyFault | None:
    if "\\n" in pem or "\\r" in pem:
        return KeyFault.ESCAPED
    if pem.lstrip().startswith(PKCS8):
        return None
    if "ENCRYPTED" in pem:
        return KeyFault.ENCRYPTED
    return KeyFault.OTHER_FORM if "PRIVATE KEY-----" in pem else KeyFault.NO_KEY


def _belongs_together(n: RSAPrivateNumbers) -> bool:
    """RFC 8017, section 3.2."""
    p, q, e = n.p, n.q, n.public_numbers.e
    if min(p, q, e) <= 1 or p * q != n.public_numbers.n:
        return False
    exponents = e * n.dmp1 % (p - 1) == 1 and e * n.dmq1 % (q - 1) == 1
    return exponents and n.d % (p - 1) == n.dmp1 and n.d % (q - 1) == n.dmq1 and n.iqmp * q % p == 1


def are_certificates(pem: bytes) -> bool:
    """Whether these are one or more certificates."""
    try:
        return bool(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return False


def holds_private_key(pem: bytes) -> bool:
    """Whether there is a private key among what is meant to be public."""
    return b"PRIVATE KEY-----" in pem
