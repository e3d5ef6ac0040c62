"""Credentials for Cloud Storage: what a Pod may use, and that nothing else is tried."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import Credentials
from google.oauth2 import service_account

from kaas.loader.source import Denied
from kaas.loader.sources import google
from kaas.loader.sources.access import Access

POD = Access(pod=True)


EXTERNAL: dict[str, Any] = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
    "credential_source": {"file": "/var/run/secrets/kaas.internal/token/gcp"},
}


def stored(info: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "credentials.json"
    file.write_text(json.dumps(info))
    monkeypatch.setenv(google.FILE, str(file))


def test_a_service_account(account: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(account, tmp_path, monkeypatch)
    found = google.credentials_of(POD)
    assert isinstance(found, service_account.Credentials)
    assert found.scopes == google.SCOPES


def test_a_configuration_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(EXTERNAL, tmp_path, monkeypatch)
    assert google.credentials_of(POD) is not None


WRONG: list[dict[str, Any]] = [
    {"credential_source": {"url": "http://169.254.169.254/token"}},
    {"credential_source": {"executable": {"command": "/bin/sh"}}},
    {"token_url": "https://evil.example.com/token"},
    {"token_url": "http://sts.googleapis.com/v1/token"},
    {"token_url": "https://sts.googleapis.com.evil.example/token"},
    {"service_account_impersonation_url": "https://evil.example.com/"},
    {"type": "authorized_user"},
    {"type": None},
    {"credential_source": {}},
]


@pytest.mark.parametrize("change", WRONG)
def test_files_that_a_pod_may_not_use(change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(EXTERNAL | change, tmp_path, monkeypatch)
    with pytest.raises(Denied, match=r"credentials\.json"):
        google.credentials_of(POD)


@pytest.mark.parametrize("content", ["", "no JSON", "[]", "7"])
def test_files_that_are_none(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.json").write_text(content)
    monkeypatch.setenv(google.FILE, str(tmp_path / "c.json"))
    with pytest.raises(Denied, match="cannot be used"):
        google.credentials_of(POD)


def test_a_pod_without_a_file_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def metadata(*_: object, **__: object) -> None:
        raise AssertionError("the machine was asked who it is")

    monkeypatch.setattr("google.auth.default", metadata)
    with pytest.raises(Denied, match="GOOGLE_APPLICATION_CREDENTIALS"):
        google.credentials_of(POD)
    assert google.credentials_of(Access(anonymous=True)) is not None


class Changing(Credentials):
    """Credentials whose token lives a minute."""

    refreshed = 0

    def refresh(self, request: object) -> None:
        self.refreshed += 1
        self.token = f"t{self.refreshed}"
        self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)


def test_a_token_is_refreshed_when_it_is_needed() -> None:
    credentials = Changing()  # type: ignore[no-untyped-call]
    tokens = google.Tokens(credentials, google.session_of(None))
    first = tokens()
    assert first["token"] == "t1"
    assert first["expires_at"] is not None
    assert first["expires_at"].tzinfo is UTC
    assert tokens()["token"] == "t1"
    credentials.expiry = datetime.now(UTC).replace(tzinfo=None)
    assert tokens()["token"] == "t2"
