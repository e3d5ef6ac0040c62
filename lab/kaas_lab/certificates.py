"""Certificates and keys of the management cluster, and its administrator's kubeconfig."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID = dt.timedelta(days=3650)
HOST = "127.0.0.1"
ADMINISTRATORS = "system:masters"  # the group that Kubernetes lets do everything

_Key = ec.EllipticCurvePrivateKey
_Issuer = tuple[x509.Certificate, _Key]


def ensure(directory: Path) -> None:
    """Make what is missing: `ca`, `tls` (every server of the lab), `admin`, each .crt and .key, and `sa.key`, `sa.pub`.

    All or nothing: a directory left half made by a kill is made anew.
    """
    done = directory / "complete"
    if done.exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    ca_key = _new_key()
    ca = _certificate("kaas-lab", None, ca_key, None)
    _write_pair(directory, "ca", ca, ca_key)
    for name, group in (("tls", None), ("admin", ADMINISTRATORS)):
        key = _new_key()
        _write_pair(directory, name, _certificate(name, group, key, (ca, ca_key)), key)
    signing = _new_key()
    _write_secret(directory / "sa.key", _pem(signing))
    public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (directory / "sa.pub").write_bytes(signing.public_key().public_bytes(*public))
    done.touch()


def ca_bundle(directory: Path) -> str:
    """The CA's certificate as webhooks and kubeconfigs carry it: PEM in base64."""
    return _base64(directory / "ca.crt")


def write_kubeconfig(path: Path, server: str, directory: Path) -> None:
    """Write the administrator's kubeconfig, for its owner only. server: https URL of the API server."""
    cluster = {"server": server, "certificate-authority-data": ca_bundle(directory)}
    certificate, key = _base64(directory / "admin.crt"), _base64(directory / "admin.key")
    user = {"client-certificate-data": certificate, "client-key-data": key}
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kaas-lab", "cluster": cluster}],
        "users": [{"name": "admin", "user": user}],
        "contexts": [{"name": "kaas-lab", "context": {"cluster": "kaas-lab", "user": "admin"}}],
        "current-context": "kaas-lab",
    }
    _write_secret(path, json.dumps(document, indent=2).encode())  # JSON is YAML


def _new_key() -> _Key:
    return ec.generate_private_key(ec.SECP256R1())  # a hundred times as fast to make as RSA


def _certificate(
    name: str, group: str | None, key: _Key, issuer: tuple[x509.Certificate, _Key] | None
) -> x509.Certificate:
    subject = _name(name, group)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


def _name(common: str, group: str | None) -> x509.Name:
    parts: Iterable[x509.NameAttribute[str]] = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    organization = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*parts, *organization])


def _pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write_pair(directory: Path, name: str, certificate: x509.Certificate, key: _Key) -> None:
    (directory / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_secret(directory / f"{name}.key", _pem(key))


def _write_secret(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
