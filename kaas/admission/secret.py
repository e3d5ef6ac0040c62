"""Certificates as the Secret that the replicas share."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from kaas.admission.certificates import Material, Pair
from kaas.kube.objects import Object


def read(secret: Object) -> Material | None:
    """Certificates of a Secret; None when it holds none, or what nobody can use: then they have to be made anew.

    A Secret without `ca.key` is one that somebody else fills: its `ca.crt` is what API servers are to trust.
    """
    data = {key: _decoded(value) for key, value in (secret.get("data") or {}).items()}
    ca, leaf = _pair(data, "ca.crt", "ca.key"), _pair(data, "tls.crt", "tls.key")
    trusted = data.get("trusted.crt") or ca.certificate
    upcoming = _pair(data, "upcoming-ca.crt", "upcoming-ca.key")
    found = Material(ca, leaf, trusted, upcoming if upcoming.certificate else None)
    return found if leaf.key and _is_readable(found) else None


def write(material: Material) -> dict[str, str]:
    """`data` of the Secret."""
    pairs = {"ca": material.ca, "tls": material.leaf}
    if material.upcoming:
        pairs["upcoming-ca"] = material.upcoming
    data = {"trusted.crt": material.trusted}
    for name, pair in pairs.items():
        data |= {f"{name}.crt": pair.certificate, f"{name}.key": pair.key}
    return {key: base64.b64encode(value).decode() for key, value in sorted(data.items())}


def _pair(data: dict[str, bytes], certificate: str, key: str) -> Pair:
    return Pair(data.get(certificate, b""), data.get(key, b""))


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value or "")
    except binascii.Error:
        return b""


def _is_readable(material: Material) -> bool:
    pairs = [material.ca, material.leaf, *([material.upcoming] if material.upcoming else [])]
    try:
        key = serialization.load_pem_private_key(material.leaf.key, None).public_key()
        return all(bool(pair.parsed) for pair in pairs) and key == material.leaf.parsed.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
