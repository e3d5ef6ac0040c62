"""What is read and written in a workload cluster whose node is to go."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from kaas.api.constants import LABEL_POOL
from kaas.kube.client import KubeClient
from kaas.kube.errors import KubeError, NotFound
from kaas.kube.events import event_for
from kaas.kube.objects import Object, Objects, Ref, name_of, ref_of
from kaas.kube.resources import NODE, POD
from kaas.kube.times import stamp
from kaas.updates.drains.facts import NodeSeen
from kaas.updates.drains.seen import node_seen, owner_of
from kaas.updates.drains.words import AHEAD, DRAIN_AT, DRAIN_REASON

log = logging.getLogger(__name__)

ClusterKey = tuple[str, str]
"""Namespace and name of a Cluster."""
MAX_REASON: Final = 256


class Clients(Protocol):
    """Where the clients of workload clusters come from."""

    async def client(self, cluster: ClusterKey) -> KubeClient:
        """Client for a cluster's API server; KubeError when there is none."""

    def kubeconfig_changed(self, cluster: ClusterKey) -> None:
        """Have its kubeconfig read again before the next use."""

    def forget(self, cluster: ClusterKey) -> None:
        """Close the connections to a cluster of which no machine waits any more."""


async def nodes(client: KubeClient, pool: str, names: Iterable[str]) -> Mapping[str, NodeSeen]:
    """The Nodes of a pool by name, those of `names` too that do not have its label."""
    listed = await client.list(NODE, label_selector=f"{LABEL_POOL}={pool}")
    found = {n["metadata"]["name"]: node_seen(n) for n in listed}
    for name in sorted(set(names) - found.keys()):
        node = await client.get(Ref(NODE.api_version, NODE.kind, None, name))
        if node is not None:
            found[name] = node_seen(node)
    return found


async def pods(client: KubeClient, node: str) -> Objects:
    """The Pods of a Node."""
    return await client.list(POD, field_selector=f"spec.nodeName={node}")


async def cordon(client: KubeClient, node: NodeSeen) -> None:
    """Have nothing new scheduled there. Nobody has to undo it: the Node goes with its Machine."""
    if not node.cordoned:
        with suppress(NotFound):
            await client.patch(Ref(NODE.api_version, NODE.kind, None, node.name), {"spec": {"unschedulable": True}})


@dataclass(frozen=True, slots=True)
class Notice:
    """What the Pods of a node are told. deadline: None without a time-out."""

    why: str
    deadline: datetime | None

    @property
    def said(self) -> tuple[str | None, str]:
        """Values of the two annotations."""
        return stamp(self.deadline), self.why[:MAX_REASON]

    @property
    def words(self) -> str:
        """For the Event."""
        when = f"at the latest at {stamp(self.deadline)}" if self.deadline else "when its jobs have ended"
        return f"{self.why}: it is drained {when}"


async def tell(client: KubeClient, told: Iterable[Object], notice: Notice, now: datetime) -> None:
    """Tell Pods, and who made them. One that cannot be told is logged: it holds up no other, and is told later."""
    owners: set[str] = set()
    for pod in told:
        try:
            await _annotate(client, pod, notice)
        except NotFound:
            continue
        except KubeError as failure:  # an Event at each try would be one every few seconds, for hours
            log.warning("Pod %s was not told of its drain: %s", "/".join(name_of(pod)), failure)
            continue
        await _announce(client, pod, notice.words, now)
        owner = owner_of(pod)
        if owner and str(owner.get("uid")) not in owners:
            owners.add(str(owner.get("uid")))
            await _announce(client, _owner(pod, owner), f"a Pod of it: {notice.words}", now)


async def _annotate(client: KubeClient, pod: Object, notice: Notice) -> None:
    at, why = notice.said
    await client.patch(ref_of(pod), {"metadata": {"annotations": {DRAIN_AT: at, DRAIN_REASON: why}}})


def _owner(pod: Object, reference: Object) -> Object:
    """The object that a reference names, as far as an Event needs it."""
    meta = {"name": reference["name"], "namespace": name_of(pod)[0], "uid": reference.get("uid")}
    return {"apiVersion": reference["apiVersion"], "kind": reference["kind"], "metadata": meta}


async def _announce(client: KubeClient, about: Object, message: str, now: datetime) -> None:
    """No drain fails for an Event's sake."""
    try:
        await client.create(event_for(about, AHEAD, message, "Warning", now))
    except KubeError as failure:
        log.debug("event not sent: %s", failure)
