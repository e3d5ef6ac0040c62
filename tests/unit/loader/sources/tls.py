"""Certificates for servers on loopback, by an authority of their own."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ALLOWED, INSIDE = "127.0.0.2", "127.0.0.3"


@dataclass(frozen=True)
class Certificate:
    """chain: key and certificate of both addresses. ca: who signed it."""

    chain: Path
    ca: Path


def _signed(subject: str, key: ec.EllipticCurvePrivateKey, by: str, by_key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate in PEM; of an authority when it is its own."""
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
        key.public_key(),
        x509.random_serial_number(),
        now - timedelta(days=1),
        now + timedelta(days=1),
    )
    made = made.add_extension(x509.BasicConstraints(ca=subject == by, path_length=None), critical=True)
    if subject != by:
        addresses = [x509.IPAddress(ipaddress.ip_address(a)) for a in (ALLOWED, INSIDE)]
        made = made.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    return made.sign(by_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def certificate_in(folder: Path) -> Certificate:
    """One of both addresses."""
    ca, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "chain").write_bytes(private + _signed("server", key, "ca", ca))
    (folder / "ca").write_bytes(_signed("ca", ca, "ca", ca))
    return Certificate(folder / "chain", folder / "ca")
