"""A Cluster with one add-on, and what tests of its reconciler share."""

from __future__ import annotations

from kaas.kube.errors import Unavailable
from kaas.kube.objects import Object
from tests.unit.addons.world import World, raw_addon, thing

DOWN = Unavailable("get ConfigMap", "https://10.0.0.1 did not answer: timed out")
WEBHOOK = Unavailable("apply ConfigMap settings", "failed calling webhook: connection refused", code=500)
CRD = thing("lights.example.org", "CustomResourceDefinition", spec={"scope": "Namespaced", "names": {"kind": "Light"}})
LIGHT: Object = {"apiVersion": "example.org/v1", "kind": "Light", "metadata": {"name": "red", "namespace": "x"}}


def world(*objects: Object, name: str = "exporter") -> World:
    found = World()
    found.addon(raw_addon(name, "1.0.0"), v1_0_0=list(objects or (thing("settings", data={"a": "1"}),)))
    return found


def reasons(found: World) -> list[str]:
    return [reason for reason, _ in found.events]
