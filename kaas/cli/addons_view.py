"""What is shown of add-ons: which a Cluster has, what an update brings, and why it has not the newest version. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kaas.api.addon import Addon, AddonVersion, KubernetesRange
from kaas.api.addon_state import add_ons_of, found_of, installed, is_usable, newest, order_of, supports
from kaas.api.addon_status import AddOnChange, InstalledAddOn
from kaas.api.cluster import Cluster
from kaas.api.update_status import THROUGH, UpdateSummary
from kaas.api.updates import AddOnUpdates
from kaas.api.versions import KubernetesVersion
from kaas.kube.times import stamp

NOT_LOOKED_AT: Final = "the controller has not looked at it yet (is `kaas controller` running?)"
NOTHING: Final = UpdateSummary()


@dataclass(frozen=True)
class Coming:
    """What an update brings. at: when, as far as is known; None while it is under way too."""

    old: str
    new: str
    at: datetime | None


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
        coming=_coming(cluster, name, has),
        why=_why(cluster, addon, has, runs) if has and runs else "",
    )


def _said(cluster: Cluster) -> UpdateSummary:
    return (cluster.status.update if cluster.status else None) or NOTHING


def _coming(cluster: Cluster, name: str, has: InstalledAddOn | None) -> Coming | None:
    """What an update brings, as long as the Cluster has it not."""
    said = _said(cluster)
    change = _change(said, name)
    if change is None or (has is not None and has.version == change.to):
        return None
    return Coming(change.from_, change.to, None if _under_way(said) else said.next_time)


def _under_way(said: UpdateSummary) -> bool:
    return said.stopped is None and any(s.state not in THROUGH for s in said.steps)


def _change(said: UpdateSummary, name: str) -> AddOnChange | None:
    return next((c for c in said.add_ons if c.name == name), None)


# --- why not the newest -------------------------------------------------------------------------------------------


def _why(cluster: Cluster, addon: Addon | None, has: InstalledAddOn, runs: KubernetesVersion) -> str:
    """Why it has no version that is newer than what it has; "" when there is none, or it has none at all."""
    if has.version is None or has.state == "Removing":
        return ""
    if addon is not None:
        return _of_newer(cluster, addon, has.version, runs)
    coming = _coming(cluster, has.name, has)
    return _not_yet(cluster, has.name, has.version, coming.new) if coming else ""


def _of_newer(cluster: Cluster, addon: Addon, has: str, runs: KubernetesVersion) -> str:
    """The same of each that is newer, from the newest down to the first that it could have."""
    found: list[str] = []
    newer = [v for v in addon.spec.versions if order_of(v.version) > order_of(has)]
    for version in sorted(newer, key=lambda v: order_of(v.version), reverse=True):
        unfit = _unfit(addon, version, runs)
        found.append(unfit or _not_yet(cluster, addon.metadata.name, has, version.version))
        if not unfit:
            break
    return "; ".join(found)


def _unfit(addon: Addon, version: AddonVersion, runs: KubernetesVersion) -> str:
    """Why no update brings a version; "" when one may."""
    if not is_usable(addon, version.version):
        found = found_of(addon, version.version)
        return f"{version.version} cannot be used: {(found.message if found else None) or NOT_LOOKED_AT}"
    if not supports(version.kubernetes, runs.minor):
        return f"{version.version} supports Kubernetes {_range(version.kubernetes)}, {runs} runs"
    return ""


def _range(kubernetes: KubernetesRange) -> str:
    least, most = kubernetes.min_version, kubernetes.max_version
    if least and most:
        return least if least == most else f"{least} to {most}"
    return f"{least} and newer" if least else f"{most} and older"


def _not_yet(cluster: Cluster, name: str, has: str, best: str) -> str:
    """What keeps an update from having brought a version that the Cluster could have."""
    said = _said(cluster)
    taken = next((r for r in said.rolled_back if r.what == "AddOn" and r.add_on == name), None)
    stopped = f": {said.stopped.message}" if said.stopped else ""
    if taken is not None:
        return f"{taken.from_} was taken back to {taken.to or has}, for the update has stopped{stopped}"
    if _change(said, name) is None and cluster.spec.updates.add_ons is AddOnUpdates.NONE:
        return f"{best} is brought by no update, for spec.updates.addOns of the Cluster is None"
    words = f"{best} comes by an update"
    if said.stopped:
        return f"{words}, and that has stopped{stopped}"
    if _under_way(said):
        return f"{words} that is under way" if _change(said, name) else f"{words} when the one under way is through"
    when = f" {said.next_time:%Y-%m-%d %H:%M} UTC" if said.next_time and _change(said, name) else ""
    return f"{words}{when}: {said.message}" if said.message else f"{words}{when}"


# --- an Addon as a whole ------------------------------------------------------------------------------------------


def newest_of(addon: Addon) -> str:
    """The newest version that the spec has, whether it can be used or not."""
    return max((v.version for v in addon.spec.versions), key=order_of)


def unusable(addon: Addon) -> list[str]:
    """What is wrong with versions of the spec, the newest first, each in words that name it."""
    found = ((v.version, found_of(addon, v.version)) for v in addon.spec.versions)
    wrong = [(version, said.message or "") for version, said in found if said is not None and said.digest is None]
    return [f"{version}: {words}" for version, words in sorted(wrong, key=lambda w: order_of(w[0]), reverse=True)]
