"""How to sign in to a cloud, as it stands in a Secret. Never shown, never logged."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import yaml

CLOUDS: Final = "clouds.yaml"
CACERT: Final = "cacert"

# Paths would be read from the controller's own file system: a CA comes in the Secret, under `cacert`.
_PATHS: Final = frozenset({"cacert", "cert", "key"})


class CredentialsInvalid(ValueError):
    """The Secret does not say how to sign in. The message names the key and the way out, never a value."""


@dataclass(frozen=True)
class Credentials:
    """One entry of a clouds.yaml, with the cloud's CA. Equal content has equal `key`.

    cloud: the entry, for openstacksdk.
    cacert: the cloud's CA in PEM; None for the CAs of the system.
    region: of the cloud; None for the one that the entry names.
    """

    cloud: Mapping[str, Any] = field(repr=False)
    cacert: str | None = field(default=None, repr=False)
    region: str | None = None

    @cached_property
    def key(self) -> str:
        """SHA-256 of the content: a rotated Secret has another."""
        content = json.dumps([self.cloud, self.cacert, self.region], sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def auth_url(self) -> str:
        """Keystone's address: what a message may say of the credentials."""
        return str(self.cloud["auth"]["auth_url"])


def from_secret(data: Mapping[str, str], cloud: str, region: str | None = None) -> Credentials:
    """Credentials from the `data` of a Secret (base64 as in the API). Raises CredentialsInvalid.

    cloud: name of the entry in clouds.yaml.
    """
    entry = _entry(_decoded(data, CLOUDS), cloud)
    cacert = _decoded(data, CACERT) if CACERT in data else None
    return Credentials({k: v for k, v in entry.items() if k not in _PATHS}, cacert, region)


def _decoded(data: Mapping[str, str], key: str) -> str:
    if key not in data:
        raise CredentialsInvalid(f"the Secret has no key {key}: add it")
    try:
        return base64.b64decode(data[key], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise CredentialsInvalid(f"the Secret's key {key} is not base64 of a text: write it again") from None


def _entry(text: str, cloud: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        # Without the cause, which quotes the text.
        raise CredentialsInvalid(f"the Secret's {CLOUDS} is not YAML: write it again") from None
    clouds = document.get("clouds") if isinstance(document, dict) else None
    if not isinstance(clouds, dict) or not isinstance(entry := clouds.get(cloud), dict):
        names = ", ".join(map(str, clouds)) if isinstance(clouds, dict) else "nothing"
        raise CredentialsInvalid(f"the Secret's {CLOUDS} has no cloud {cloud!r}: it has {names}")
    auth = entry.get("auth")
    if not isinstance(auth, dict) or not auth.get("auth_url"):
        raise CredentialsInvalid(f"the Secret's {CLOUDS} has no auth.auth_url for {cloud!r}: add it")
    return entry
