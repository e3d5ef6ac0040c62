"""APIs that are to be removed and were asked for, from an API server's own metrics; who has written with them. Pure.

The metric stays from the first request until the API server starts anew, and each API server has its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from kaas.kube.objects import Object
from kaas.kube.samples import labels
from kaas.kube.times import at
from kaas.updates.preflight.facts import Client, DeprecatedApi

METRIC: Final = "apiserver_requested_deprecated_apis{"
"""Stable since Kubernetes 1.29: group, version, resource, subresource, removed_release (apiserver/pkg/endpoints)."""
CLIENTS: Final = 5


def deprecated_apis(lines: Iterable[str]) -> tuple[DeprecatedApi, ...]:
    """Those whose end is set; what is deprecated without one, and what CRDs call deprecated, stays."""
    return tuple(sorted(set(_apis(lines)), key=lambda api: (api.removed, str(api))))


def _apis(lines: Iterable[str]) -> Iterator[DeprecatedApi]:
    for line in lines:
        said = labels(line)
        major, _, minor = said.get("removed_release", "").partition(".")
        if major == "1" and minor.isdigit() and line.rpartition(" ")[2] != "0":
            yield DeprecatedApi(said["group"], said["version"], said["resource"], int(minor))


def writers(items: Iterable[Object], api_version: str) -> tuple[Client, ...]:
    """Who has written with a version of an API, the latest first, from the fields that each has set."""
    found: dict[str, Client] = {}
    for item in items:
        meta = item["metadata"]
        for entry in meta.get("managedFields") or ():
            if entry.get("apiVersion") != api_version:
                continue
            last = at(entry["time"]) if entry.get("time") else None
            name = entry.get("manager") or "a client without a name"
            client = Client(name, last, "/".join(filter(None, (meta.get("namespace"), meta["name"]))))
            if name not in found or _moment(client) > _moment(found[name]):
                found[name] = client
    return tuple(sorted(found.values(), key=_moment, reverse=True)[:CLIENTS])


def _moment(client: Client) -> tuple[float, str]:
    return client.last.timestamp() if client.last else 0.0, client.name
