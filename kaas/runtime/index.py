"""What the watches have seen, in memory: by name, by cluster, by owner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kaas.kube.objects import Object, Objects, Ref, labels, name_of, owner_uids, uid
from kaas.kube.resources import CLUSTER_NAME_LABEL, Resource

_GroupKind = tuple[str, str]
_Name = tuple[str, str]  # namespace (empty for kinds without) and name
_Entry = tuple[_GroupKind, _Name]
SecretFilter = Callable[[Object], Iterable[str]]


class Index:
    """Newest known state of every watched object. Objects are shared, not copied: never change what it returns.

    keep_secret_keys: says of a Secret which keys of its data are kept; by default none.
    """

    def __init__(self, keep_secret_keys: SecretFilter = lambda _: ()) -> None:
        self._keep = keep_secret_keys
        self._objects: dict[_GroupKind, dict[_Name, Object]] = defaultdict(dict)
        self._by_cluster: dict[tuple[str, str], set[_Entry]] = defaultdict(set)
        self._by_owner: dict[str, set[_Entry]] = defaultdict(set)
        self._ahead: dict[_Entry, Object | None] = {}

    def put(self, obj: Object, *, seen: bool = False) -> Object | None:
        """Store an object, made lean; returns what was known before, None when it is new.

        seen: it comes from a watch. Else it is the answer to a write, and the watch will show it later, unless it has
        shown what came after it already: then it stays as it is.
        """
        entry = _entry(obj)
        known = self._objects[entry[0]].get(entry[1])
        if not seen and known is not None and version_of(known) > version_of(obj):
            return known
        before = self._forget(entry)
        if not seen:
            self._ahead.setdefault(entry, before)
        lean = self._lean(obj)
        self._objects[entry[0]][entry[1]] = lean
        if cluster := labels(lean).get(CLUSTER_NAME_LABEL):
            self._by_cluster[(entry[1][0], cluster)].add(entry)
        for owner in owner_uids(lean):
            self._by_owner[owner].add(entry)
        return before

    def caught_up(self, obj: Object) -> tuple[Object | None] | None:
        """A watch shows an object: what was known of it before a write of ours was put ahead; None when none was."""
        entry = _entry(obj)
        return (self._ahead.pop(entry),) if entry in self._ahead else None

    def remove(self, obj: Object) -> Object | None:
        """Forget an object; returns what was known. One with the same name and another uid is kept."""
        entry = _entry(obj)
        known = self._objects.get(entry[0], {}).get(entry[1])
        if known is None or (uid(obj) and uid(known) != uid(obj)):
            return None
        return self._forget(entry)

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """Object, in whatever version it is watched."""
        return self._objects.get(resource.group_kind, {}).get((namespace or "", name))

    def get_ref(self, ref: Ref) -> Object | None:
        """Object that a reference names; its version does not matter."""
        return self._objects.get((ref.group, ref.kind), {}).get((ref.namespace or "", ref.name))

    def list(self, resource: Resource, namespace: str | None = None) -> Objects:
        """Objects of a kind, sorted by namespace and name; `namespace` None means all."""
        found = self._objects.get(resource.group_kind, {})
        return [found[name] for name in sorted(found) if namespace is None or name[0] == namespace]

    def each(self, resource: Resource, namespace: str | None = None) -> Iterator[Object]:
        """Objects of a kind in no order, for what is asked often; nothing may be stored meanwhile."""
        for name, obj in self._objects.get(resource.group_kind, {}).items():
            if namespace is None or name[0] == namespace:
                yield obj

    def of_cluster(self, resource: Resource, namespace: str, cluster: str) -> Objects:
        """Objects of a kind labelled with a Cluster API cluster's name, sorted by name."""
        return self._select(self._by_cluster.get((namespace, cluster), ()), resource)

    def owned_by(self, owner_uid: str, resource: Resource | None = None) -> Objects:
        """Objects with an ownerReference to this uid, of one kind or of all, sorted by kind and name."""
        return self._select(self._by_owner.get(owner_uid, ()), resource)

    def count(self, resource: Resource | None = None) -> int:
        """Objects known, of one kind or of all."""
        if resource:
            return len(self._objects.get(resource.group_kind, {}))
        return sum(len(found) for found in self._objects.values())

    def _select(self, entries: Iterable[_Entry], resource: Resource | None) -> Objects:
        wanted = (e for e in entries if resource is None or e[0] == resource.group_kind)
        return [self._objects[kind][name] for kind, name in sorted(wanted)]

    def _forget(self, entry: _Entry) -> Object | None:
        known = self._objects[entry[0]].pop(entry[1], None)
        if known is None:
            return None
        if cluster := labels(known).get(CLUSTER_NAME_LABEL):
            _discard(self._by_cluster, (entry[1][0], cluster), entry)
        for owner in owner_uids(known):
            _discard(self._by_owner, owner, entry)
        return known

    def _lean(self, obj: Object) -> Object:
        """Without managedFields, and of a Secret without the data that nobody asked to keep."""
        meta = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
        lean = {**obj, "metadata": meta}
        if obj["kind"] == "Secret" and obj["apiVersion"] == "v1":
            kept = set(self._keep(obj))
            lean["data"] = {k: v for k, v in (obj.get("data") or {}).items() if k in kept}
        return lean


def version_of(obj: Object) -> int:
    """Comparable since Kubernetes 1.35 (KEP-5504), and in fact since etcd 3; 0 when there is none."""
    found = str(obj["metadata"].get("resourceVersion") or "0")
    return int(found) if found.isdigit() else 0


def _entry(obj: Object) -> _Entry:
    group = obj["apiVersion"].rpartition("/")[0]
    return (group, obj["kind"]), name_of(obj)


def _discard(index: dict[Any, set[_Entry]], key: Any, entry: _Entry) -> None:
    """Take an entry out, and the key with its last entry, so that an index does not grow for ever."""
    index[key].discard(entry)
    if not index[key]:
        del index[key]
