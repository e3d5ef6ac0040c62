"""An API server in memory, as far as add-ons need one, that can be made to fail at any call."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from kaas.kube import resources
from kaas.kube.client import Page
from kaas.kube.errors import Conflict, KubeError, NotFound
from kaas.kube.objects import Object, Objects, Ref, labels, metadata, ref_of, uid
from kaas.kube.resources import Resource

Name = tuple[str, str, str, str]
"""Group, kind, namespace and name."""


class Killed(Exception):
    """The controller was killed at this moment."""


@dataclass
class Writes:
    """Counts what is written anywhere. at: with this one the controller is killed, before or after it has an effect."""

    at: int = -1
    before: bool = False
    count: int = 0

    def write(self, effect: Callable[[], None]) -> None:
        self.count += 1
        if self.count == self.at and self.before:
            raise Killed
        effect()
        if self.count == self.at:
            raise Killed


_WORKS = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}


@dataclass
class Server:
    """faults: what to raise when an object is applied or deleted, by its name, or pages of a kind are read, by plural.

    down: what every call raises. asked: kinds that were listed. works: whether what runs Pods has them at once. holds:
    names of objects that end something before they go.
    """

    writes: Writes = field(default_factory=Writes)
    objects: dict[Name, Object] = field(default_factory=dict)
    faults: dict[str, KubeError] = field(default_factory=dict)
    down: KubeError | None = None
    log: list[str] = field(default_factory=list)
    calls: int = 0
    asked: set[str] = field(default_factory=set)
    holds: set[str] = field(default_factory=set)
    works: bool = True
    made: int = 0
    ticks: Callable[[], None] = lambda: None

    async def get(self, ref: Ref) -> Object | None:
        self._call()
        return copy.deepcopy(self.objects.get(_name(ref)))

    async def list(
        self, resource: Resource, namespace: str | None = None, label_selector: str | None = None
    ) -> Objects:
        self._call()
        self.asked.add(resource.kind)
        found = [o for n, o in self.objects.items() if n[:2] == (resource.group, resource.kind)]
        return [copy.deepcopy(o) for o in found if label_selector is None or label_selector in labels(o)]

    async def page(self, resource: Resource, *, limit: int, token: str = "") -> Page:
        if resource.plural in self.faults:
            raise self.faults[resource.plural]
        found, start = await self.list(resource), int(token or 0)
        more = str(start + limit) if start + limit < len(found) else ""
        return Page(found[start : start + limit], more, "1")

    async def apply(self, obj: Object) -> Object:
        self._call()
        ref = ref_of(obj)
        await self.resource(ref.api_version, ref.kind)
        if ref.name in self.faults:
            raise self.faults[ref.name]
        self.writes.write(lambda: self._put(ref, obj))
        return copy.deepcopy(self.objects[_name(ref)])

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        self._call()
        known = self.objects.get(_name(ref))
        if known is None:
            return False
        if uid and metadata(known)["uid"] != uid:
            raise Conflict(f"delete {ref}", "another uid")
        if ref.name in self.faults:
            raise self.faults[ref.name]
        self.writes.write(lambda: self._take(ref))
        return True

    async def resource(self, api_version: str, kind: str) -> Resource:
        known = resources.find(api_version, kind)
        if known:
            return known
        self._call()
        group, _, version = api_version.rpartition("/")
        for obj in self.objects.values():
            if obj["kind"] == "CustomResourceDefinition" and obj["spec"]["names"]["kind"] == kind:
                return Resource(group, version, kind, f"{kind.lower()}s", obj["spec"]["scope"] == "Namespaced")
        raise NotFound(f"find {kind}", f"the API server has no kind {kind} in {api_version}", code=404)

    def put(self, obj: Object) -> None:
        """As somebody else does."""
        self._put(ref_of(obj), obj)

    def node(self, name: str, *, ready: bool = True) -> None:
        """A Node, as its kubelet or the API server says."""
        ready_now = {"type": "Ready", "status": "True" if ready else "Unknown"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"conditions": [ready_now]}}
        self.put(node)

    def remove(self, kind: str, name: str) -> None:
        """As somebody else does, at last."""
        for found in [n for n in self.objects if n[1] == kind and n[3] == name]:
            del self.objects[found]

    def found(self, kind: str, name: str) -> Object:
        return next(o for n, o in self.objects.items() if n[1] == kind and n[3] == name)

    @property
    def names(self) -> set[str]:
        """Kind and name of all that there is."""
        return {f"{kind}/{name}" for _, kind, _, name in self.objects}

    def _call(self) -> None:
        self.calls += 1
        self.ticks()
        if self.down:
            raise self.down

    def _put(self, ref: Ref, obj: Object) -> None:
        known = self.objects.get(_name(ref))
        self.made += known is None
        kept = {"uid": uid(known) if known else f"uid-{self.made}", "generation": 1}
        finalizers = {"finalizers": ["example.org/hold"]} if ref.name in self.holds else {}
        status = {"status": _WORKS} if self.works and ref.kind in ("Deployment", "DaemonSet") else {}
        self.log.append(f"apply {ref.kind}/{ref.name}")
        self.objects[_name(ref)] = {
            **copy.deepcopy(obj),
            "metadata": {**obj["metadata"], **kept, **finalizers},
            **status,
        }

    def _take(self, ref: Ref) -> None:
        self.log.append(f"delete {ref.kind}/{ref.name}")
        known = self.objects[_name(ref)]
        if metadata(known).get("finalizers"):
            known["metadata"]["deletionTimestamp"] = "2026-12-01T00:00:00Z"
        else:
            del self.objects[_name(ref)]


def _name(ref: Ref) -> Name:
    """The same whatever namespace is said of what is in none."""
    known = resources.find(ref.api_version, ref.kind)
    namespace = "" if known and not known.namespaced else ref.namespace or ""
    return ref.group, ref.kind, namespace, ref.name
