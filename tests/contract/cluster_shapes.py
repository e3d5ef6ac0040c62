"""Clusters of several shapes on both providers, with the Sites and Releases that they need."""

from __future__ import annotations

from typing import Any

from kaas.api.constants import API_VERSION

Object = dict[str, Any]

VERSION = "v1.36.1"
FLAVORS: list[Object] = [
    {"name": "cpu-2"},
    {"name": "cpu-4"},
    {"name": "dgx", "gpu": {"model": "A100-SXM4-40GB", "count": 8}},
    {"name": "mi300", "gpu": {"model": "AMD Instinct MI300X", "count": 8, "resource": "amd.com/gpu"}},
]


def _object(kind: str, name: str, spec: Object, namespace: str | None = None) -> Object:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": spec}


def _openstack(name: str, **spec: Any) -> Object:
    said = {
        "provider": "openstack",
        "credentials": {"secret": {"name": f"{name}-openstack"}},
        "region": "RegionOne",
        "externalNetwork": {"name": "public"},
        "flavors": FLAVORS,
        **spec,
    }
    return _object("Site", name, said)


ZONES = [{"name": "az-1"}, {"name": "az-2"}, {"name": "az-3", "controlPlane": False}]
SITES = {
    "plain": _openstack("plain"),
    "full": _openstack(
        "full",
        externalNetwork={"id": "6a4b2f0c-0000-0000-0000-000000000000"},
        zones=ZONES,
        loadBalancer={"provider": "ovn"},
        dnsNameservers=["10.0.0.53", "2001:db8::35"],
        images=[{"version": VERSION, "name": "site image, with: 'signs' & \"quotes\""}],
    ),
    "memory": _object("Site", "memory", {"provider": "dev", "flavors": FLAVORS, "zones": ZONES}),
}
RELEASES = {v: _object("Release", v, {"version": v, "image": f"node-{v}"}) for v in (VERSION, "v1.36.3")}

_POOLS: list[Object] = [
    {
        "name": "web",
        "flavor": "cpu-4",
        "replicas": 3,
        "zones": ["az-1", "az-2"],
        "labels": {"example.com/tier": "web", "empty": ""},
        "taints": [
            {"key": "example.com/only", "value": "web", "effect": "NoExecute"},
            {"key": "bare", "effect": "PreferNoSchedule"},
            {"key": "bare", "value": "", "effect": "NoSchedule"},
        ],
    },
    {"name": "train", "flavor": "dgx", "replicas": 1, "gpu": {"drainTimeoutSeconds": 0}},
    {"name": "amd", "flavor": "mi300", "replicas": 0, "gpu": {"taint": "None"}},
]

SPECS: dict[str, Object] = {
    "least": {"controlPlane": {"flavor": "cpu-2", "replicas": 1}},
    "pools": {
        "controlPlane": {"flavor": "cpu-2"},
        "nodePools": [{"name": "cpu", "flavor": "cpu-4"}, {"name": "dgx", "flavor": "dgx", "replicas": 0}],
    },
    "large": {
        "controlPlane": {"flavor": "cpu-2", "replicas": 5, "zones": ["az-1", "az-3"]},
        "nodePools": _POOLS,
        "network": {"pods": "10.64.0.0/16", "services": "10.96.0.0/16", "nodes": "10.7.0.0/24"},
    },
}

SHAPES = [
    ("least", "plain"),
    ("pools", "plain"),
    ("least", "full"),
    ("large", "full"),
    ("least", "memory"),
    ("pools", "memory"),
    ("large", "memory"),
]


def cluster(shape: str, site: str, namespace: str, **more: Any) -> Object:
    """A Cluster called after its shape and Site."""
    return _object("Cluster", f"{shape}-{site}", {"version": VERSION, "site": site, **SPECS[shape], **more}, namespace)
