"""Credentials from Secrets."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from kaas.openstack.connection import Session
from kaas.openstack.credentials import CredentialsInvalid, from_secret

SECRET = "s3cr3t"
CLOUDS = f"""
clouds:
  openstack:
    auth: {{auth_url: 'https://cloud:5000/v3', username: u, password: {SECRET}}}
    cacert: /etc/passwd
    region_name: RegionOne
  bare: {{auth: {{password: {SECRET}}}}}
"""


def data(clouds: str = CLOUDS, **more: str) -> dict[str, str]:
    return {key: base64.b64encode(text.encode()).decode() for key, text in {"clouds.yaml": clouds, **more}.items()}


def test_entry_is_read_and_not_shown() -> None:
    credentials = from_secret(data(cacert="PEM"), "openstack", "RegionTwo")
    assert credentials.auth_url == "https://cloud:5000/v3"
    assert credentials.cacert == "PEM"
    assert credentials.region == "RegionTwo"
    assert SECRET not in repr(credentials)
    assert "PEM" not in repr(credentials)


def test_files_of_the_controller_are_not_read() -> None:
    assert "cacert" not in from_secret(data(), "openstack").cloud


def test_key_follows_the_content() -> None:
    first = from_secret(data(), "openstack")
    assert first.key == from_secret(data(), "openstack").key
    others = [
        from_secret(data(CLOUDS.replace(SECRET, "other")), "openstack"),
        from_secret(data(cacert="PEM"), "openstack"),
        from_secret(data(), "openstack", "RegionTwo"),
    ]
    assert len({first.key, *(other.key for other in others)}) == 4


@pytest.mark.parametrize(
    ("secret", "cloud", "said"),
    [
        ({}, "openstack", "no key clouds.yaml: add it"),
        ({"clouds.yaml": "%"}, "openstack", "clouds.yaml is not base64"),
        (data(f"{SECRET}: ["), "openstack", "is not YAML"),
        (data(SECRET), "openstack", "has no cloud 'openstack': it has nothing"),
        (data(), "other", "has no cloud 'other': it has openstack, bare"),
        (data(), "bare", "no auth.auth_url for 'bare': add it"),
        ({**data(), "cacert": "%"}, "openstack", "cacert is not base64"),
    ],
)
def test_what_is_wrong_is_said_without_the_secret(secret: dict[str, str], cloud: str, said: str) -> None:
    with pytest.raises(CredentialsInvalid) as refusal:
        from_secret(secret, cloud)
    assert said in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_settings_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_AUTH_URL", "http://elsewhere")
    monkeypatch.setenv("OS_REGION_NAME", "Elsewhere")
    session = Session(from_secret(data(cacert="PEM"), "openstack", "RegionTwo"), timeout=7.0)
    config = session.cloud.config
    assert config.config["auth"]["auth_url"] == "https://cloud:5000/v3"
    assert config.region_name == "RegionTwo"
    assert session.cloud.session.timeout == 7.0
    assert Path(str(session.cloud.session.verify)).read_text() == "PEM"
    session.close()
