"""What is shown of add-ons: which a Cluster has, what an update brings, and why it has not the newest version. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kaas.api.addon import Addon
from kaas.api.addon_state import add_ons_of, found_of, installed, newest, order_of
from kaas.api.addon_status import InstalledAddOn
from kaas.api.cluster import Cluster
from kaas.api.versions import KubernetesVersion
from kaas.cli.addons_why import Coming, Look
from kaas.cli.view import NOT_LOOKED_AT
from kaas.kube.times import stamp


@dataclass(frozen=True)
class Line:
    """One add-on of one Cluster.

    version: what it has; wanted: what is being put there; None for none. state: "" before the controller has looked.
    newest: the newest version that can be used and supports its Kubernetes, None when that is not known. message: what
    is said of the state; why: why it has not the newest version that there is, "" when it has.
    """

    namespace: str
    cluster: str
    name: str
    version: str | None
    wanted: str | None
    state: str
    since: datetime | None
    message: str
    newest: str | None
    coming: Coming | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; what is not known is left out."""
        coming = self.coming
        said = {
            "namespace": self.namespace,
            "cluster": self.cluster,
            "addOn": self.name,
            "version": self.version,
            "wanted": self.wanted,
            "state": self.state or None,
            "since": stamp(self.since),
            "message": self.message or None,
            "newest": self.newest,
            "update": _known({"from": coming.old, "to": coming.new, "at": stamp(coming.at)}) if coming else None,
            "why": self.why or None,
        }
        return _known(said)


def _known(said: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in said.items() if v is not None}


def lines(clusters: Iterable[Cluster], addons: Sequence[Addon], name: str | None = None) -> Iterator[Line]:
    """One line an add-on, of each Cluster in their order, then those that it is being rid of. name: of that alone."""
    known = {a.metadata.name: a for a in addons}
    for cluster in clusters:
        has = installed(cluster)
        names = dict.fromkeys([*(a.metadata.name for a in add_ons_of(cluster, addons)), *has])
        for each in names:
            if name in (None, each):
                yield _line(cluster, each, known.get(each), has.get(each))


def _line(cluster: Cluster, name: str, addon: Addon | None, has: InstalledAddOn | None) -> Line:
    runs = KubernetesVersion.known(cluster.status.version if cluster.status else None)
    best = newest(addon, runs.minor) if addon and runs else None
    look = Look(cluster, addon, has, runs, best) if has and runs and has.version and has.state != "Removing" else None
    return Line(
        namespace=cluster.metadata.namespace or "",
        cluster=cluster.metadata.name,
        name=name,
        version=has.version if has else None,
        wanted=has.wanted if has else None,
        state=has.state if has else "",
        since=has.since if has else None,
        message=(has.message or "") if has else NOT_LOOKED_AT,
        newest=best.version if best else None,
        coming=look.coming() if look else None,
        why=look.why() if look else "",
    )


# --- an Addon as a whole ------------------------------------------------------------------------------------------


def newest_of(addon: Addon) -> str:
    """The newest version that the spec has, whether it can be used or not."""
    return max((v.version for v in addon.spec.versions), key=order_of)


def unusable(addon: Addon) -> list[str]:
    """What is wrong with versions of the spec, the newest first, each in words that name it."""
    found = ((v.version, found_of(addon, v.version)) for v in addon.spec.versions)
    wrong = [(version, said.message or "") for version, said in found if said is not None and said.digest is None]
    return [f"{version}: {words}" for version, words in sorted(wrong, key=lambda w: order_of(w[0]), reverse=True)]
