"""Clients of Cloud Storage with what a Pod has: a key file, or the Pod's own token."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from kaas.admission.certificates import Pair
from kaas.credentials.secrets.external import configuration
from kaas.credentials.terms import GCP_ANNOTATION, GCP_FILE, GCP_PROJECT
from tests.contract.credentials.clients.conftest import PROVIDER
from tests.contract.credentials.clients.google_cloud import TOKEN_URI, Google
from tests.contract.credentials.clients.issuer import Issuer, private_key, public_key
from tests.contract.credentials.clients.sandbox import Sandbox
from tests.contract.credentials.clients.team import sandbox, secret

LIBRARY = str(Path(__file__).parent / "programs" / "with_google_cloud_storage.py")
PROJECT = "team-a-123"
EMAIL = f"loader@{PROJECT}.iam.gserviceaccount.com"
ANNOTATIONS = {GCP_ANNOTATION: "team-gcp"}
# It only reads here: the storage server does not know the form in which gcloud uploads.
_GCLOUD = """
set -e
project=$(gcloud config get core/project)
content=$(gcloud storage cat "gs://team-data/$1")
echo "$project $content"
"""
# gcloud is no Python package, and too large to bring along: it is used where the machine has it.
CLIENTS = {
    "google-cloud-storage": (sys.executable, LIBRARY),
    **({"gcloud": ("sh", "-c", _GCLOUD, "sh")} if shutil.which("gcloud") else {}),
}


def key_file(private: bytes) -> str:
    """As Google makes it."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "0123456789abcdef0123456789abcdef01234567",
            "private_key": private.decode(),
            "client_email": EMAIL,
            "client_id": "123456789012345678901",
            "token_uri": TOKEN_URI,
        }
    )


def used(gcp: Google, ca: Pair, pod: Sandbox, client: str, name: str) -> CompletedProcess[str]:
    """What a client says that uses an object, in a cluster whose way out is a proxy."""
    if client == "gcloud":
        gcp.put(name, f"content of {name}")
    file = pod.home / "ca.pem"
    file.write_bytes(ca.certificate)
    trusted = dict.fromkeys(("REQUESTS_CA_BUNDLE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"), str(file))
    return pod.run(*CLIENTS[client], name, HTTPS_PROXY=gcp.proxy, **trusted)


@pytest.fixture(scope="module")
def key(gcp: Google) -> bytes:
    """The service account's key."""
    private = private_key()
    gcp.keys[EMAIL] = public_key(private)
    return private


def values(file: str) -> Mapping[str, str]:
    return {GCP_FILE: file, GCP_PROJECT: PROJECT}


@pytest.mark.parametrize("client", CLIENTS)
def test_key_file(client: str, gcp: Google, ca: Pair, key: bytes, issuer: Issuer, tmp_path: Path) -> None:
    gcp.log.clear()
    pod = sandbox(tmp_path, issuer, secret("gcp", values(key_file(key))), annotations=ANNOTATIONS)
    done = used(gcp, ca, pod, client, "one")
    assert done.stdout == f"{PROJECT} content of one\n", done.stderr
    assert set(gcp.log) == {f"{EMAIL} by key"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_key_that_is_not_the_accounts(
    client: str, gcp: Google, ca: Pair, key: bytes, issuer: Issuer, tmp_path: Path
) -> None:
    pod = sandbox(tmp_path, issuer, secret("gcp", values(key_file(private_key()))), annotations=ANNOTATIONS)
    done = used(gcp, ca, pod, client, "two")
    assert done.returncode != 0
    assert "Invalid JWT Signature" in done.stderr


@pytest.mark.parametrize("moved", [False, True], ids=["mounted", "moved"])
@pytest.mark.parametrize("client", CLIENTS)
def test_no_key_at_all(client: str, moved: bool, gcp: Google, ca: Pair, issuer: Issuer, tmp_path: Path) -> None:
    gcp.log.clear()
    made = secret("gcp", values(json.dumps(configuration(PROVIDER))))
    pod = sandbox(tmp_path, issuer, made, annotations=ANNOTATIONS, moved=moved)
    done = used(gcp, ca, pod, client, "three")
    assert done.stdout == f"{PROJECT} content of three\n", done.stderr
    assert set(gcp.log) == {"team:trainer by token"}


@pytest.mark.parametrize("client", CLIENTS)
def test_acting_as_a_service_account(client: str, gcp: Google, ca: Pair, issuer: Issuer, tmp_path: Path) -> None:
    gcp.log.clear()
    gcp.principals["team:trainer"] = EMAIL
    made = secret("gcp", values(json.dumps(configuration(PROVIDER, EMAIL))))
    pod = sandbox(tmp_path, issuer, made, annotations=ANNOTATIONS)
    done = used(gcp, ca, pod, client, "four")
    assert done.stdout == f"{PROJECT} content of four\n", done.stderr
    assert {*gcp.log} == {"team:trainer by token", f"{EMAIL} by impersonation"}


def test_somebody_elses_token_is_refused(gcp: Google, ca: Pair, tmp_path: Path) -> None:
    made = secret("gcp", values(json.dumps(configuration(PROVIDER))))
    pod = sandbox(tmp_path, Issuer(), made, annotations=ANNOTATIONS)
    done = used(gcp, ca, pod, "google-cloud-storage", "five")
    assert done.returncode != 0
    assert "invalid_grant" in done.stderr
