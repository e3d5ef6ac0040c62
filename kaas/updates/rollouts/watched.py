"""What of the objects that it watches this feature reads, and which Clusters a Rollout's status wakes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kaas.api.constants import ANNOTATION_UPDATES_PAUSED
from kaas.kube.objects import Object, condition, metadata, metadata_without
from kaas.kube.resources import PAUSED_ANNOTATION
from kaas.updates.rollouts.member import NOT_READY, WELL
from kaas.updates.run import FINISHED

Key = tuple[str, str]

_META: Final = ("uid", "labels", "deletionTimestamp")
_UPDATE: Final = ("target", "image", "classRevision", "began", "stopped", "nextMaintenance", "waiting", "reason")
_MADE_OF: Final = ("image", "classRevision", "newestClassRevision")
_PAUSED: Final = (PAUSED_ANNOTATION, ANNOTATION_UPDATES_PAUSED)


def concern_of_cluster(cluster: Object) -> Any:
    """Of a Cluster: who it is, where, what it asks for, runs and is made of, whether it is well, and its update."""
    meta, spec, status = metadata(cluster), cluster["spec"], cluster.get("status") or {}
    annotations, update = meta.get("annotations") or {}, status.get("update") or {}
    well = sorted((c["type"], c["status"]) for c in status.get("conditions") or () if c["type"] in WELL)
    lacking = (condition(cluster, "UpToDate") or {}).get("reason") == NOT_READY
    pools = [(p["name"], p.get("version"), p["replicas"], p["upToDate"]) for p in status.get("nodePools") or ()]
    repairs = [p["name"] for p in (status.get("repair") or {}).get("pools") or () if p["inFlight"]]
    finished = next((s["state"] for s in update.get("steps") or () if s["name"] == FINISHED), None)
    zones = [spec["controlPlane"].get("zones"), *((p.get("zones")) for p in spec.get("nodePools") or ())]
    return (
        [meta.get(name) for name in _META],
        [annotations.get(name) for name in _PAUSED],
        (spec["version"], spec["site"], spec.get("updates"), zones),
        (status.get("version"), status.get("controlPlane"), pools, repairs, well, lacking),
        [status.get(name) for name in _MADE_OF],
        [update.get(name) for name in _UPDATE],
        finished,
    )


def concern_of_rollout(rollout: Object) -> Any:
    """Of a Rollout: what people say. What it says itself it knows."""
    return metadata_without(rollout, "resourceVersion", "managedFields"), rollout["spec"]


class Wakes:
    """Which Clusters are to be decided about anew when a Rollout has changed: those of which it says another thing."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, Mapping[Key, Any]]] = {}

    def woken(self, rollout: Object, every: Iterable[Key], *, is_there: bool) -> Iterator[Key]:
        """Those of one state of a Rollout, to be shown in order. every: all Clusters. is_there: not when it is gone."""
        name = rollout["metadata"]["name"]
        general, members = self._known.pop(name, (None, {}))
        if not is_there:
            yield from every
            return
        now = self._known[name] = (_general(rollout), _members(rollout))
        if now[0] != general:
            yield from every
        else:
            yield from (key for key in members.keys() | now[1].keys() if members.get(key) != now[1].get(key))


def _general(rollout: Object) -> Any:
    """What it says of Clusters that are no members."""
    status = rollout.get("status") or {}
    said = [status.get(name) for name in ("version", "images", "classRevisions", "run", "stage", "state", "reason")]
    started = [s["name"] for s in status.get("stages") or () if s.get("started")]
    return rollout["spec"], metadata(rollout).get("deletionTimestamp"), said, started


def _members(rollout: Object) -> Mapping[Key, Any]:
    """What it says of its members, words aside."""
    stages = (rollout.get("status") or {}).get("stages") or ()
    return {
        (m["namespace"], m["name"]): (
            m["uid"],
            m["state"],
            m.get("reason"),
            m.get("released") is not None,
            m.get("leftOut"),
        )
        for stage in stages
        for m in stage.get("members") or ()
    }
