"""GCP: one file that libraries and gcloud are pointed to, and a token when the file names one in place of a key."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from kaas.credentials.pods.facts import SecretFacts
from kaas.credentials.pods.groups import KEPT, Bundle, Group, Mount, from_secret, literal, secret_volume, token_source
from kaas.credentials.pods.wanted import Choice
from kaas.credentials.terms import (
    AWS_TOKEN_FILE,
    GCP_FILE,
    GCP_MOUNT,
    GCP_PROJECT,
    GCP_VOLUME,
    TOKEN_MOUNT,
    TOKEN_VOLUME,
)

_FILE: Final = Mount(GCP_VOLUME, GCP_MOUNT)
_TOKEN: Final = Mount(TOKEN_VOLUME, TOKEN_MOUNT)
_PATH: Final = f"{GCP_MOUNT}/{GCP_FILE}"
# gcloud and gcloud storage do not read the first, libraries do not read the second.
_POINTERS: Final = (
    literal("GOOGLE_APPLICATION_CREDENTIALS", _PATH),
    literal("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", _PATH),
)
# The legacy name of the same; a container with it has its project already.
_LEGACY_PROJECT: Final = frozenset({"GCLOUD_PROJECT"})
# google-auth looks for a metadata server otherwise, which takes minutes where packets to it are dropped.
_NO_METADATA: Final = Group((literal("NO_GCE_CHECK", "true"),), quiet=True)
# The first part of a file's name must not lead out of the volume, nor be the kubelet's own (`..data`).
_RELATIVE: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}){0,3}")


@lru_cache(KEPT)
def gcp_bundle(choice: Choice, facts: SecretFacts | None, expiration: int) -> Bundle:
    """What containers get for GCP. facts: None for a Secret that is not there yet, which is taken for one with a key.

    expiration: of a projected token, in seconds.
    """
    path = _projected(facts)
    tokens = (token_source(facts.audience, expiration, path),) if facts and path else ()
    groups = (
        Group(_POINTERS, mounts=(_FILE, _TOKEN) if tokens else (_FILE,), leads=True),
        Group(
            (
                from_secret("GOOGLE_CLOUD_PROJECT", choice.secret, GCP_PROJECT, optional=True),
                from_secret("CLOUDSDK_CORE_PROJECT", choice.secret, GCP_PROJECT, optional=True),
            ),
            rivals=_LEGACY_PROJECT,
        ),
        _NO_METADATA,
    )
    volumes = {GCP_VOLUME: secret_volume(GCP_VOLUME, choice.secret, GCP_FILE)}
    return Bundle("gcp", choice.where, choice.secret, groups, volumes, tokens=tokens, warnings=_doubts(facts))


def _projected(facts: SecretFacts | None) -> str:
    """Path of the token in our volume; empty when there is none to provide."""
    if facts is None or not facts.audience:
        return ""
    root, path = facts.token_file[: len(TOKEN_MOUNT) + 1], facts.token_file[len(TOKEN_MOUNT) + 1 :]
    ours = root == f"{TOKEN_MOUNT}/" and _RELATIVE.fullmatch(path)
    return path if ours and path.partition("/")[0] != AWS_TOKEN_FILE else ""


def _doubts(facts: SecretFacts | None) -> tuple[str, ...]:
    if facts is None:
        return ()
    if GCP_FILE not in facts.keys:
        return (f"it has no key {GCP_FILE}: the Pod cannot start",)
    if facts.external and not _projected(facts):
        return (f"it needs an audience and credential_source.file {TOKEN_MOUNT}/gcp: no token is mounted",)
    return ()
