"""Certificates: what is issued verifies, what is wrong is refused by name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from kaas_lab.machines import pki
from kaas_lab.machines.pki import CertificateError

NOW = dt.datetime.now(dt.UTC)


def write_authority(stem: Path, *, ca: bool = True, ends: dt.datetime = NOW + dt.timedelta(days=9)) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = pki.subject("kubernetes", ())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - dt.timedelta(days=9))
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pki.Pair(certificate.public_bytes(serialization.Encoding.PEM), pki.key_pem(key)).write(stem)


def test_an_issued_certificate(tmp_path: Path) -> None:
    write_authority(tmp_path / "ca")
    authority = pki.load_authority(tmp_path / "ca")
    pair = pki.issue(authority, "system:node:a", ["system:nodes"], ["a", "10.6.0.5", "10.6.0.5", ""])
    found = x509.load_pem_x509_certificate(pair.certificate)
    found.verify_directly_issued_by(authority.certificate)
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:a"
    assert found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(n.value) for n in names] == ["a", "10.6.0.5"]


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_authority(tmp_path / "ca")
    assert (tmp_path / "ca.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("missing", ["ca.crt", "ca.key"])
def test_a_missing_file(tmp_path: Path, missing: str) -> None:
    write_authority(tmp_path / "ca")
    (tmp_path / missing).unlink()
    with pytest.raises(CertificateError, match=rf"{missing} is missing"):
        pki.load_authority(tmp_path / "ca")


@pytest.mark.parametrize("broken", ["ca.crt", "ca.key"])
def test_a_broken_file(tmp_path: Path, broken: str) -> None:
    write_authority(tmp_path / "ca")
    (tmp_path / broken).write_text("no PEM")
    with pytest.raises(CertificateError, match=f"couldn't load .*{broken}"):
        pki.load_authority(tmp_path / "ca")


def test_a_key_of_another(tmp_path: Path) -> None:
    write_authority(tmp_path / "ca")
    write_authority(tmp_path / "other")
    (tmp_path / "other.key").rename(tmp_path / "ca.key")
    with pytest.raises(CertificateError, match="do not match"):
        pki.load_authority(tmp_path / "ca")


def test_a_certificate_that_is_no_authority(tmp_path: Path) -> None:
    write_authority(tmp_path / "ca", ca=False)
    with pytest.raises(CertificateError, match="not a CA"):
        pki.load_authority(tmp_path / "ca")


def test_an_expired_authority(tmp_path: Path) -> None:
    write_authority(tmp_path / "ca", ends=NOW - dt.timedelta(days=1))
    with pytest.raises(CertificateError, match="expired"):
        pki.load_authority(tmp_path / "ca")


def test_a_key_of_a_kind_that_kubernetes_does_not_use(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "sa.key").write_bytes(content)
    with pytest.raises(CertificateError, match="neither RSA nor ECDSA"):
        pki.load_key(tmp_path / "sa.key")


def test_the_hash_is_of_the_public_key(tmp_path: Path) -> None:
    write_authority(tmp_path / "ca")
    certificate = pki.load_authority(tmp_path / "ca").certificate
    found = pki.public_key_hash(certificate)
    assert found.startswith("sha256:")
    assert len(found) == len("sha256:") + 64


def test_a_signing_request() -> None:
    request, _ = pki.signing_request("system:node:a", ["system:nodes"])
    parsed = x509.load_pem_x509_csr(request)
    assert parsed.is_signature_valid
    assert parsed.subject.rfc4514_string() == "CN=system:node:a,O=system:nodes"
