"""A team's Secrets, and its Pod after the webhook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaas.cli.credential_create import Provider, made
from kaas.credentials.pods.facts import facts_of
from kaas.credentials.secrets.check import check
from kaas.credentials.secrets.finding import denied
from tests.contract.credentials.clients.issuer import Issuer
from tests.contract.credentials.clients.sandbox import Sandbox
from tests.unit.credentials.pod_shapes import container, injected, pod

Object = dict[str, Any]
NAMESPACE, NAME = "team", "reader"


def secret(provider: Provider, values: Mapping[str, str | bytes]) -> Object:
    """The Secret `team-aws` or `team-gcp` as `kaas credentials create` makes it; the webhook must take it."""
    raw = {key: value.encode() if isinstance(value, str) else value for key, value in values.items()}
    found = made(f"team-{provider}", NAMESPACE, provider, raw)
    assert not denied(check(found))
    return found


def sandbox(
    directory: Path,
    issuer: Issuer,
    *secrets: Object,
    annotations: Mapping[str, str] | None = None,
    account: Mapping[str, str] | None = None,
    moved: bool = False,
) -> Sandbox:
    """The Pod `reader` of the ServiceAccount `trainer`, patched as its annotations and the account's ask for."""
    found = {s["metadata"]["name"]: s for s in secrets}
    raw = pod(container(), annotations=annotations or {}, serviceAccountName="trainer")
    raw["metadata"] |= {"name": NAME, "namespace": NAMESPACE}
    owner = {"metadata": {"name": "trainer", "annotations": dict(account)}} if account else None
    patched = injected(raw, {name: facts_of(s) for name, s in found.items()}, owner)
    return Sandbox(patched, found, issuer, directory, moved=moved)
