"""When certificate authorities end. Pure."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from kaas.updates.preflight.facts import Authority


def authority(name: str, bundle: str | bytes) -> Authority:
    """The one of a bundle that ends last: while it is replaced, the old and the new stand beside each other.

    ValueError for what is no certificate in PEM.
    """
    pem = bundle.encode() if isinstance(bundle, str) else bundle
    latest = max(x509.load_pem_x509_certificates(pem), key=_end)
    common = latest.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Authority(f"{common[0].value!s} of {name}" if common else name, _end(latest))


def _end(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc
