"""Secrets as the API has them, right ones and ones that break one rule."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from kaas.credentials.secrets.external import configuration
from kaas.credentials.terms import AWS_TYPE, GCP_FILE, GCP_TYPE

Secret = dict[str, Any]

KEY_ID = "AKIA" + "Q7" * 8
TEMPORARY_ID = "ASIA" + "Q7" * 8
SECRET_KEY = "b+" * 20
ROLE = "arn:aws:iam::111122223333:role/team/loader"
PROVIDER = "projects/123456789/locations/global/workloadIdentityPools/kaas-pool/providers/team-a"
EMAIL = "loader@team-a-123.iam.gserviceaccount.com"


def encoded(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def secret(kind: str, values: dict[str, Any]) -> Secret:
    """A Secret of these values; those that are None are left out."""
    data = {key: encoded(value) for key, value in values.items() if value is not None}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cloud"}, "type": kind, "data": data}


def aws(**changes: str | bytes | None) -> Secret:
    """A right Secret with a key, but for the changes."""
    right = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "eu-central-1"}
    return secret(AWS_TYPE, {**right, **{("ca.crt" if k == "ca" else k): v for k, v in changes.items()}})


def keyless(**changes: str | bytes | None) -> Secret:
    """A right Secret with a role, but for the changes."""
    return secret(AWS_TYPE, {"AWS_ROLE_ARN": ROLE, "AWS_REGION": "eu-central-1", **changes})


def s3(url: str, key: str = "AWS_ENDPOINT_URL_S3") -> Secret:
    return aws(AWS_ACCESS_KEY_ID="minio-user-1", AWS_SECRET_ACCESS_KEY="short", **{key: url})


def gcp(**changes: Any) -> Secret:
    """A right Secret with a key file, but for the changes of its fields; None removes one."""
    return gcp_file(json.dumps({k: v for k, v in {**key_file(), **changes}.items() if v is not None}, indent=2))


def external(**changes: Any) -> Secret:
    """A right Secret without a key, but for the changes."""
    fields = {k: v for k, v in {**configuration(PROVIDER, EMAIL), **changes}.items() if v is not None}
    return secret(GCP_TYPE, {GCP_FILE: json.dumps(fields), "project_id": "team-a-123"})


def gcp_file(content: str | bytes | None, **keys: str | None) -> Secret:
    return secret(GCP_TYPE, {GCP_FILE: content, **keys})


def key_file() -> dict[str, str]:
    """A key file as Google makes it."""
    return {
        "type": "service_account",
        "project_id": "team-a-123",
        "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": rsa_pem(),
        "client_email": EMAIL,
        "client_id": "123456789012345678901",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/loader",
        "universe_domain": "googleapis.com",
    }


@cache
def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def rsa_pem(bits: int = 2048, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: bytes = b"") -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return _rsa(bits).private_bytes(Encoding.PEM, form, encryption).decode()


def damaged_pem() -> str:
    """A key with one character changed in the middle of a number: it can be parsed."""
    lines = rsa_pem().splitlines()
    changed = "A" if lines[10][20] != "A" else "B"
    lines[10] = lines[10][:20] + changed + lines[10][21:]
    return "\n".join(lines) + "\n"


@cache
def ec_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@cache
def ca_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "storage CA")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    certificate = builder.not_valid_after(datetime(2036, 1, 1, tzinfo=UTC)).sign(key, hashes.SHA256())
    return certificate.public_bytes(Encoding.PEM).decode()
