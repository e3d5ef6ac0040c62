"""What the Pod side needs to know of a Secret, and nothing that is secret."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaas.credentials.terms import AWS_ROLE_ARN, GCP_FILE

LARGEST: Final = 64 * 1024  # base64 characters; the Secret's own check refuses files of more than 16 KiB


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """A Secret that exists.

    external: its Google file is an `external_account` configuration, without a key.
    audience, token_file: what that says of the token to exchange, empty otherwise; neither is secret.
    """

    type: str
    keys: frozenset[str] = frozenset()
    external: bool = False
    audience: str = ""
    token_file: str = ""

    @property
    def role(self) -> bool:
        """Whether a ServiceAccount token is exchanged for an AWS role, in place of keys."""
        return AWS_ROLE_ARN in self.keys


def facts_of(secret: Mapping[str, Any]) -> SecretFacts:
    """Facts of a Secret as the API server gives it, `data` in base64. Never raises: what cannot be read is left out."""
    data = secret.get("data")
    data = data if isinstance(data, dict) else {}
    kind = secret.get("type")
    audience, token_file, external = _external(data.get(GCP_FILE))
    return SecretFacts(
        type=kind if isinstance(kind, str) else "",
        keys=frozenset(data),
        external=external,
        audience=audience,
        token_file=token_file,
    )


def _external(encoded: object) -> tuple[str, str, bool]:
    """Audience and token file of a Google configuration, and whether it is an `external_account` at all."""
    config = _json(encoded)
    if config.get("type") != "external_account":
        return "", "", False
    source = config.get("credential_source")
    source = source if isinstance(source, dict) else {}
    return _text(config.get("audience")), _text(source.get("file")), True


def _json(encoded: object) -> dict[str, Any]:
    if not isinstance(encoded, str) or len(encoded) > LARGEST:
        return {}
    try:
        found = json.loads(base64.b64decode(encoded))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
