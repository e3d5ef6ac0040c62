"""Clouds on loopback whose keys, tokens and signatures are real."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kaas.admission.certificates import Pair, new_ca, new_leaf
from tests.contract.credentials.clients.amazon import Amazon, amazon
from tests.contract.credentials.clients.google_cloud import HOSTS, Google, google
from tests.contract.credentials.clients.issuer import Issuer

PROVIDER = "projects/123456789/locations/global/workloadIdentityPools/kaas-pool/providers/team-a"


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="session")
def ca() -> Pair:
    """The CA of both clouds."""
    return new_ca(datetime.now(UTC), timedelta(days=1))


@pytest.fixture(scope="session")
def tls(ca: Pair, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """For servers that are called by the names of the clouds' own."""
    leaf = new_leaf(ca, ("127.0.0.1", *HOSTS), datetime.now(UTC), timedelta(days=1))
    file: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(leaf.certificate + leaf.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture(scope="session")
def aws(issuer: Issuer, tls: ssl.SSLContext) -> Iterator[Amazon]:
    with amazon(issuer, tls) as account:
        yield account


@pytest.fixture(scope="session")
def gcp(issuer: Issuer, tls: ssl.SSLContext) -> Iterator[Google]:
    with google(issuer, f"//iam.googleapis.com/{PROVIDER}", tls) as cloud:
        yield cloud
