"""What a machine checks before it trusts a cluster, and what it leaves behind."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from cryptography import x509
from kaas_lab.machines import bootstrap, pki
from kaas_lab.machines.bootstrap import JoinRefused
from kaas_lab.machines.kubeadm import Discovery

TOKEN = "abcdef.0123456789abcdef"
CONTENT = "kind: Config\n"


def signed(content: str = CONTENT, token: str = TOKEN, kid: str = "abcdef") -> str:
    """A detached JWS as the bootstrap signer makes it."""

    def encode(raw: bytes) -> bytes:
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    header = encode(json.dumps({"alg": "HS256", "kid": kid}).encode())
    digest = hmac.new(token.partition(".")[2].encode(), header + b"." + encode(content.encode()), hashlib.sha256)
    return f"{header.decode()}..{encode(digest.digest()).decode()}"


def test_a_signature_that_holds() -> None:
    assert bootstrap.verify_signature(CONTENT, signed(), TOKEN)


@pytest.mark.parametrize(
    "signature",
    [
        signed(content="kind: Other\n"),
        signed(token="abcdef.ffffffffffffffff"),
        signed(kid="fedcba"),
        "",
        "..",
        "not base64 at all",
    ],
)
def test_a_signature_that_does_not(signature: str) -> None:
    assert not bootstrap.verify_signature(CONTENT, signature, TOKEN)


def certificate() -> bytes:
    return pki.self_signed("kubernetes", []).certificate


def test_a_pinned_key() -> None:
    ca = certificate()
    pinned = pki.public_key_hash(x509.load_pem_x509_certificate(ca))
    bootstrap.check_hashes(ca, Discovery("a:6443", TOKEN, ("sha256:00", pinned.upper().replace("SHA256", "sha256"))))


def test_a_key_that_is_not_pinned() -> None:
    with pytest.raises(JoinRefused, match="none of the public keys"):
        bootstrap.check_hashes(certificate(), Discovery("a:6443", TOKEN, ("sha256:00",)))


def test_no_pins_wanted() -> None:
    bootstrap.check_hashes(certificate(), Discovery("a:6443", TOKEN, (), skip_ca_verification=True))


async def test_an_endpoint_where_nobody_answers(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(JoinRefused, match="couldn't get cluster-info"):
        await bootstrap.discover(Discovery("127.0.0.1:1", TOKEN, ("sha256:00",)), said.append, seconds=0)
    assert "waiting for cluster-info" in said[0]
