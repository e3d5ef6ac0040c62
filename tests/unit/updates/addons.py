"""Addons and what a Cluster's status says of them, for tests."""

from __future__ import annotations

from typing import Any

from kaas.api.addon import Addon
from kaas.api.constants import API_VERSION
from kaas.kube.objects import Object
from kaas.updates.subject import AddOns

SINCE = "2026-12-20T00:00:00Z"


def raw_addon(name: str, *versions: str | tuple[str, ...], unusable: tuple[str, ...] = (), **spec: Any) -> Object:
    """versions: each alone, or with the newest minor that it supports, or with that and the oldest."""
    pairs = [(v,) if isinstance(v, str) else v for v in versions]
    said = [
        {
            "version": v,
            "manifests": {"configMap": f"{name}-{v}"},
            **({"kubernetes": dict(zip(("maxVersion", "minVersion"), bounds, strict=False))} if bounds else {}),
        }
        for v, *bounds in pairs
    ]
    found: list[Object] = [
        {"version": v, "message": "it is missing"}
        if v in unusable
        else {"version": v, "objects": 3, "digest": "ab", "since": SINCE}
        for v, *_ in pairs
    ]
    meta = {"name": name, "uid": f"uid-{name}"}
    spec = {"versions": said, **spec}
    return {"apiVersion": API_VERSION, "kind": "Addon", "metadata": meta, "spec": spec, "status": {"versions": found}}


def addon(name: str, *versions: str | tuple[str, ...], unusable: tuple[str, ...] = (), **spec: Any) -> Addon:
    return Addon.model_validate(raw_addon(name, *versions, unusable=unusable, **spec))


def there(*addons: Addon, unread: tuple[str, ...] = ()) -> AddOns:
    return AddOns.of(addons, unread)


def has(name: str, version: str, state: str = "Ready", **more: Any) -> Object:
    """What the status says of one that the Cluster has."""
    return {"name": name, "version": version, "state": state, **more}
