"""Certificates of a machine: what kubeadm issues from the authorities that the user data brought."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
VALIDITY = dt.timedelta(days=365)  # kubeadm's default certificateValidityPeriod
BACKDATE = dt.timedelta(minutes=5)


class CertificateError(Exception):
    """A certificate or key that kubeadm refuses; the message names the file."""


@dataclass(frozen=True)
class Authority:
    """A certificate authority with its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, stem: Path) -> None:
        """Write `<stem>.crt` and `<stem>.key`."""
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_name(stem.name + ".crt").write_bytes(self.certificate)
        write_secret(stem.with_name(stem.name + ".key"), self.key)


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)


def load_authority(stem: Path) -> Authority:
    """The authority in `<stem>.crt` and `<stem>.key`. Raises CertificateError as kubeadm's certs phase would."""
    certificate = load_certificate(stem.with_name(stem.name + ".crt"))
    key = load_key(stem.with_name(stem.name + ".key"))
    if certificate.public_key() != key.public_key():
        raise CertificateError(f"{stem}.crt and {stem}.key: the certificate and the private key do not match")
    if not _is_authority(certificate):
        raise CertificateError(f"{stem}.crt: the certificate is not a CA")
    if certificate.not_valid_after_utc < dt.datetime.now(dt.UTC):
        raise CertificateError(f"{stem}.crt: the certificate expired at {certificate.not_valid_after_utc}")
    return Authority(certificate, key)


def parse_certificate(pem: bytes) -> x509.Certificate:
    """A PEM certificate. Raises ValueError. Cluster API numbers its authorities 0, which draws a warning each time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_pem_x509_certificate(pem)


def load_certificate(path: Path) -> x509.Certificate:
    """A PEM certificate in a file. Raises CertificateError."""
    try:
        return parse_certificate(_read(path))
    except ValueError as error:
        raise CertificateError(f"couldn't load the certificate file {path}: {error}") from error


def load_key(path: Path) -> PrivateKey:
    """A PEM private key, RSA or ECDSA. Raises CertificateError."""
    try:
        key = serialization.load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"couldn't load the private key file {path}: {error}") from error
    if not isinstance(key, PrivateKey):
        raise CertificateError(f"{path}: the private key is neither RSA nor ECDSA")
    return key


def issue(authority: Authority, name: str, groups: Iterable[str] = (), sans: Iterable[str] = ()) -> Pair:
    """A certificate for clients and servers: `name` is its common name, `groups` its organizations."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(name, groups))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    if names := [_general_name(s) for s in dict.fromkeys(sans) if s]:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(authority.key, hashes.SHA256())
    return Pair(signed.public_bytes(serialization.Encoding.PEM), key_pem(key))


def signing_request(name: str, groups: Iterable[str]) -> tuple[bytes, bytes]:
    """A certificate signing request and its new key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(subject(name, groups)).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM), key_pem(key)


def subject(name: str, groups: Iterable[str]) -> x509.Name:
    """Kubernetes reads the user from the common name, the groups from the organizations."""
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def key_pem(key: PrivateKey) -> bytes:
    """A private key as PEM, in the traditional encoding that all of Kubernetes reads."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def public_key_hash(certificate: x509.Certificate) -> str:
    """Kubeadm's `caCertHashes`: SHA-256 of the subject public key info."""
    info = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return "sha256:" + hashlib.sha256(info).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CertificateError(f"{path} is missing: the user data did not bring it") from error


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def self_signed(name: str, sans: Iterable[str]) -> Pair:
    """A serving certificate that nobody vouches for, such as a kubelet makes for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    alternatives = [_general_name(s) for s in dict.fromkeys([name, *sans]) if s]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject(name, ()))
        .issuer_name(subject(name, ()))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), key_pem(key))
