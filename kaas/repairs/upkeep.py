"""Keeps the NodeRepairTemplates of each Cluster as they should be, and takes away those of pools that are gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from kaas.api.cluster import Cluster
from kaas.api.constants import LABEL_CLUSTER, LABEL_POOL
from kaas.api.repair import RepairPolicy
from kaas.kube import resources
from kaas.kube.difference import APPLIED_ANNOTATION, differs, with_applied_hash
from kaas.kube.objects import Object, Ref, annotation, labels, name_of, owner_uids, ref_of, uid
from kaas.kube.ports import Source
from kaas.repairs.facts import ClusterKey
from kaas.repairs.templates import templates

CLONED_FROM: Final = "cluster.x-k8s.io/cloned-from-name"
"""Annotation of what Cluster API makes from a template: that template's name."""


class Writer(Protocol):
    """What is written to the management cluster, beside what a Carrier writes."""

    async def apply(self, obj: Object) -> Object:
        """Server-side apply."""

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        """Ask for deletion."""


@dataclass
class _Kept:
    """What is known of one Cluster's templates.

    uid, site, policies: what they were rendered from. desired: as they should be, by name. seen: live ones that are so,
    as the index has them. left: names of those of pools that are gone.
    """

    uid: str | None
    site: str
    policies: Mapping[str, RepairPolicy]
    desired: Mapping[str, Object]
    left: list[str]
    seen: dict[str, Object] = field(default_factory=dict)

    def is_of(self, cluster: Cluster, policies: Mapping[str, RepairPolicy]) -> bool:
        same = self.uid == cluster.metadata.uid and self.site == cluster.spec.site
        return same and self.policies == policies


class Upkeep:
    """Each Cluster is looked at for each event of it; templates are rendered when what they say has changed.

    Live ones are compared when the watch has brought them anew. So what is not as it was is mended all the same.
    """

    def __init__(self, store: Source, writer: Writer) -> None:
        self._store = store
        self._writer = writer
        self._kept: dict[ClusterKey, _Kept] = {}

    def forget(self, cluster: ClusterKey) -> None:
        """Drop what is known of a Cluster that is gone."""
        self._kept.pop(cluster, None)

    async def look(self, cluster: Cluster, policies: Mapping[str, RepairPolicy]) -> None:
        """The template of each pool, which MachineHealthCheck makes NodeRepairs from."""
        key = (cluster.metadata.namespace or "", cluster.metadata.name)
        kept = self._kept.get(key)
        if kept is None or not kept.is_of(cluster, policies):
            kept = self._kept[key] = self._rendered(cluster, policies)
        for name, desired in kept.desired.items():
            live = self._store.get(resources.NODE_REPAIR_TEMPLATE, key[0], name)
            if live is None or live is not kept.seen.get(name):
                await self._mend(kept, desired, live)
        if kept.left:
            await self._take_away(key, kept)

    def _rendered(self, cluster: Cluster, policies: Mapping[str, RepairPolicy]) -> _Kept:
        meta = cluster.metadata
        desired = {name_of(t)[1]: with_applied_hash(t) for t in templates(cluster, policies)}
        there = self._store.owned_by(meta.uid or "", resources.NODE_REPAIR_TEMPLATE)
        left = [name_of(t)[1] for t in there if _is_ours(t, cluster) and name_of(t)[1] not in desired]
        return _Kept(meta.uid, cluster.spec.site, dict(policies), desired, left)

    async def _mend(self, kept: _Kept, desired: Object, live: Object | None) -> None:
        if live is None or differs(desired, live):
            await self._writer.apply(desired)
        else:
            kept.seen[name_of(live)[1]] = live

    async def _take_away(self, key: ClusterKey, kept: _Kept) -> None:
        """Delete the templates of pools that are gone, once none of their machines is left, nor a repair of one."""
        for name in tuple(kept.left):
            template = self._store.get(resources.NODE_REPAIR_TEMPLATE, key[0], name)
            if template is not None:
                if self._is_needed(key, template):
                    continue
                await self._writer.delete(ref_of(template), uid=uid(template))
            kept.left.remove(name)

    def _is_needed(self, key: ClusterKey, template: Object) -> bool:
        pool, name = labels(template)[LABEL_POOL], name_of(template)[1]
        machines = self._store.of_cluster(resources.MACHINE, *key)
        if any(labels(m).get(LABEL_POOL) == pool for m in machines):
            return True
        repairs = self._store.of_cluster(resources.NODE_REPAIR, *key)
        return any(annotation(r, CLONED_FROM) == name or (r.get("status") or {}).get("pool") == pool for r in repairs)


def _is_ours(template: Object, cluster: Cluster) -> bool:
    """Whether it was made here for a pool of the Cluster: its labels, its owner and the mark of what was applied."""
    told = labels(template)
    named = told.get(LABEL_CLUSTER) == cluster.metadata.name and LABEL_POOL in told
    owned = cluster.metadata.uid in owner_uids(template)
    return named and owned and annotation(template, APPLIED_ANNOTATION) is not None
