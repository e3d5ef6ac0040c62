"""The webhook's certificates as values: what is made, what a Secret holds, and which step is next. Nothing is written.

A change of CA takes three steps, so that at any moment every API server trusts every certificate that is served:
`introduce` a second CA, which is trusted from then on; `promote` it once it has been trusted everywhere for a while;
and let go of the first when the last leaf that it signed is replaced.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = timedelta(days=3652)
LEAF_LIFE = timedelta(days=90)
SKEW = timedelta(hours=1)
"""How long before its making a certificate is valid already, for clocks that are behind."""
SETTLED = timedelta(minutes=10)
"""How long a new CA is trusted before it signs: API servers read their webhooks' configuration within seconds."""


class Step(StrEnum):
    """What is to be done to the certificates next."""

    NOTHING = "nothing"
    BEGIN = "begin"
    INTRODUCE = "introduce"
    PROMOTE = "promote"
    RENEW = "renew"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key as PEM. key: empty for a CA whose key is kept elsewhere."""

    certificate: bytes
    key: bytes

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate (the first of a chain). Raises ValueError when it is none."""
        return x509.load_pem_x509_certificate(self.certificate)


@dataclass(frozen=True)
class Lives:
    """How long certificates live. Tests live faster."""

    ca: timedelta = CA_LIFE
    leaf: timedelta = LEAF_LIFE
    settled: timedelta = SETTLED


@dataclass(frozen=True)
class Material:
    """All that the Secret holds.

    trusted: certificates of every CA that may have signed what is served, PEM, one after the other.
    upcoming: the CA that will sign next, trusted already; None when there is no change under way.
    """

    ca: Pair
    leaf: Pair
    trusted: bytes
    upcoming: Pair | None = None

    @property
    def foreign(self) -> bool:
        """Whether somebody else makes the certificates: then they are served, and never changed."""
        return not self.ca.key


def next_step(material: Material | None, names: Sequence[str], now: datetime, lives: Lives, *, trusted: bool) -> Step:
    """What is to be done now.

    names: that the leaf has to be valid for. trusted: whether every webhook configuration has `material.trusted`.
    """
    if material is None:
        return Step.BEGIN
    if material.foreign:
        return Step.NOTHING
    if is_over(material.ca.parsed, now):
        return Step.BEGIN
    if material.upcoming is None and is_due(material.ca.parsed, now):
        return Step.INTRODUCE
    if material.upcoming and trusted and now >= made_at(material.upcoming.parsed) + lives.settled:
        return Step.PROMOTE
    leaf = material.leaf.parsed
    stale = is_due(leaf, now) or not set(names) <= set(names_of(leaf)) or not is_signed(leaf, material.ca.parsed)
    return Step.RENEW if stale else Step.NOTHING


def take(step: Step, material: Material | None, names: Sequence[str], now: datetime, lives: Lives) -> Material:
    """Certificates after a step. Give back what `next_step` said for the same."""
    if step is Step.BEGIN or material is None:
        ca = new_ca(now, lives.ca)
        return Material(ca, new_leaf(ca, names, now, lives.leaf), ca.certificate)
    if step is Step.INTRODUCE:
        upcoming = new_ca(now, lives.ca)
        return replace(material, upcoming=upcoming, trusted=material.ca.certificate + upcoming.certificate)
    if step is Step.PROMOTE and material.upcoming:
        ca = material.upcoming
        both = ca.certificate + material.ca.certificate
        return Material(ca, new_leaf(ca, names, now, lives.leaf), both)
    if step is Step.RENEW:
        kept = material.upcoming.certificate if material.upcoming else b""
        leaf = new_leaf(material.ca, _lasting(material.leaf, names, now), now, lives.leaf)
        return replace(material, leaf=leaf, trusted=material.ca.certificate + kept)
    return material


def _lasting(leaf: Pair, names: Sequence[str], now: datetime) -> list[str]:
    """Names for the next leaf: during an upgrade two versions may want different ones, and must not take turns."""
    old = [] if is_due(leaf.parsed, now) else names_of(leaf.parsed)
    return list(dict.fromkeys([*names, *old]))


def made_at(certificate: x509.Certificate) -> datetime:
    """When one of our certificates was made."""
    return certificate.not_valid_before_utc + SKEW


def is_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether two thirds of a certificate's life are over."""
    start = made_at(certificate)
    return now >= start + (certificate.not_valid_after_utc - start) * 2 / 3


def is_over(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate is valid no more."""
    return now >= certificate.not_valid_after_utc


def is_signed(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """Whether a CA signed a certificate."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def names_of(certificate: x509.Certificate) -> list[str]:
    """Names and addresses that a certificate is valid for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in found]


def new_ca(now: datetime, life: timedelta) -> Pair:
    """A CA that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    # The serial number in the name: two CAs of one name would be taken for each other.
    serial = x509.random_serial_number()
    subject = _name(f"kaas-admission-ca-{serial:x}"[:64])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(subject, subject, key.public_key(), now, now + life, serial)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def new_leaf(ca: Pair, names: Sequence[str], now: datetime, life: timedelta) -> Pair:
    """A serving certificate, which ends no later than its CA. Raises ValueError when the CA's key is not usable."""
    issuer, key = ca.parsed, ec.generate_private_key(ec.SECP256R1())
    signer = serialization.load_pem_private_key(ca.key, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey) or signer.public_key() != issuer.public_key():
        raise ValueError("the CA's key is not the key of its certificate")
    end = min(now + life, issuer.not_valid_after_utc)
    builder = (
        _builder(_name("kaas-admission"), issuer.subject, key.public_key(), now, end, x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)  # type: ignore[arg-type]
    )
    return _pair(builder.sign(signer, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    end: datetime,
    serial: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(now - SKEW)
        .not_valid_after(end)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(certificate.public_bytes(encoding), private)
