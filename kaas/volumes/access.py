"""How a loader gets at its source: variables and files from one Secret of the claim's own namespace. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaas.api import cloud_secrets as names
from kaas.kube.objects import Object
from kaas.loader.address import Scheme

AUDIENCE: Final = "sts.amazonaws.com"
"""Client id of an OIDC provider in IAM. Source: AWS IAM user guide, IAM roles for service accounts."""
TOKEN_SECONDS: Final = 3600
READABLE: Final = 0o444
TYPES: Final = {Scheme.S3: names.AWS_TYPE, Scheme.GCS: names.GCP_TYPE}
"""Type of the Secret that a kind of source takes."""

Entry = dict[str, Any]

# Nobody else's credentials are looked for: not those of the node that the loader runs on.
_NO_METADATA: Final = (("AWS_EC2_METADATA_DISABLED", "true"), ("NO_GCE_CHECK", "true"))


class Unusable(Exception):
    """The Secret cannot be used for this source. The message says why and what to do; there is no value in it."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a loader's Pod is given. anonymous: requests are not signed."""

    anonymous: bool
    env: tuple[Entry, ...]
    volumes: tuple[Entry, ...] = ()
    mounts: tuple[Entry, ...] = ()


ANONYMOUS: Final = Access(True, tuple({"name": n, "value": v} for n, v in _NO_METADATA))


def access_of(scheme: Scheme, secret: Object) -> Access:
    """Access by a Secret as the API server gives it; Unusable when it is none for this kind of source."""
    name, kind = secret["metadata"]["name"], secret.get("type")
    wanted = TYPES.get(scheme)
    if wanted is None:
        raise Unusable(f"sources of {scheme}:// are loaded without credentials")
    if kind != wanted:
        raise Unusable(f"Secret {name} is of type {kind}: {scheme}:// takes one of type {wanted}; make it anew")
    data = secret.get("data") or {}
    return _aws(name, data) if scheme is Scheme.S3 else _google(name, data)


def _aws(secret: str, data: Mapping[str, str]) -> Access:
    keyless = names.AWS_ROLE_ARN in data
    needed = (names.AWS_ROLE_ARN,) if keyless else (names.AWS_ACCESS_KEY_ID, names.AWS_SECRET_ACCESS_KEY)
    _complete(secret, data, needed)
    env = [_from_secret(key, secret) for key in needed]
    volumes: list[Entry] = []
    mounts: list[Entry] = []
    if keyless:
        env.append(_literal("AWS_WEB_IDENTITY_TOKEN_FILE", f"{names.TOKEN_MOUNT}/{names.AWS_TOKEN_FILE}"))
        env.append({"name": "AWS_ROLE_SESSION_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
        volumes.append(_token(AUDIENCE, names.AWS_TOKEN_FILE))
        mounts.append(_mount(names.TOKEN_VOLUME, names.TOKEN_MOUNT))
    else:
        env.append(_from_secret(names.AWS_SESSION_TOKEN, secret, optional=True))
    env += [_from_secret(key, secret, optional=True) for key in _AWS_SETTINGS]
    env.append(_from_secret("AWS_DEFAULT_REGION", secret, names.AWS_REGION, optional=True))
    if names.AWS_CA in data:
        env.append(_literal("AWS_CA_BUNDLE", f"{names.AWS_MOUNT}/{names.AWS_CA}"))
        volumes.append(_files(names.AWS_VOLUME, secret, names.AWS_CA))
        mounts.append(_mount(names.AWS_VOLUME, names.AWS_MOUNT))
    return Access(False, (*ANONYMOUS.env, *env), tuple(volumes), tuple(mounts))


_AWS_SETTINGS: Final = (names.AWS_REGION, names.AWS_ENDPOINT_URL, names.AWS_ENDPOINT_URL_S3)


def _google(secret: str, data: Mapping[str, str]) -> Access:
    _complete(secret, data, (names.GCP_FILE,))
    env = [
        _literal("GOOGLE_APPLICATION_CREDENTIALS", f"{names.GCP_MOUNT}/{names.GCP_FILE}"),
        _from_secret("GOOGLE_CLOUD_PROJECT", secret, names.GCP_PROJECT, optional=True),
    ]
    volumes = [_files(names.GCP_VOLUME, secret, names.GCP_FILE)]
    mounts = [_mount(names.GCP_VOLUME, names.GCP_MOUNT)]
    if token := _external(secret, data[names.GCP_FILE]):
        volumes.append(_token(*token))
        mounts.append(_mount(names.TOKEN_VOLUME, names.TOKEN_MOUNT))
    return Access(False, (*ANONYMOUS.env, *env), tuple(volumes), tuple(mounts))


def _complete(secret: str, data: Mapping[str, str], needed: tuple[str, ...]) -> None:
    missing = [key for key in needed if not data.get(key)]
    if missing:
        raise Unusable(f"Secret {secret} has no key {' and no key '.join(missing)}; make it anew")


def _external(secret: str, encoded: str) -> tuple[str, str] | None:
    """Audience and file name of the token that a configuration without a key wants; None for a file with a key."""
    try:
        config = json.loads(base64.b64decode(encoded))
    except (binascii.Error, ValueError, RecursionError):
        raise Unusable(f"{names.GCP_FILE} in Secret {secret} is no JSON; make it anew") from None
    if not isinstance(config, dict) or config.get("type") != "external_account":
        return None
    source = config.get("credential_source")
    path = source.get("file") if isinstance(source, dict) else None
    audience = config.get("audience")
    file = path.removeprefix(f"{names.TOKEN_MOUNT}/") if isinstance(path, str) else ""
    if not isinstance(audience, str) or not file or "/" in file or file == path or file.startswith("."):
        where = f"{names.TOKEN_MOUNT}/gcp"
        raise Unusable(f"{names.GCP_FILE} in Secret {secret} needs an audience, and {where} as credential_source.file")
    return audience, file


def _literal(name: str, value: str) -> Entry:
    return {"name": name, "value": value}


def _from_secret(name: str, secret: str, key: str = "", *, optional: bool = False) -> Entry:
    ref: Entry = {"name": secret, "key": key or name} | ({"optional": True} if optional else {})
    return {"name": name, "valueFrom": {"secretKeyRef": ref}}


def _files(volume: str, secret: str, key: str) -> Entry:
    items = [{"key": key, "path": key}]
    return {"name": volume, "secret": {"secretName": secret, "items": items, "defaultMode": READABLE}}


def _token(audience: str, path: str) -> Entry:
    source = {"serviceAccountToken": {"audience": audience, "expirationSeconds": TOKEN_SECONDS, "path": path}}
    return {"name": names.TOKEN_VOLUME, "projected": {"sources": [source], "defaultMode": READABLE}}


def _mount(volume: str, path: str) -> Entry:
    return {"name": volume, "mountPath": path, "readOnly": True}
