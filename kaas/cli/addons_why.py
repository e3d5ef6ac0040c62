"""What an update brings of an add-on that a Cluster has, and why it has not the newest version already. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kaas.api.addon import Addon, AddonVersion, KubernetesRange
from kaas.api.addon_state import order_of, supports, why_not
from kaas.api.addon_status import AddOnChange, InstalledAddOn
from kaas.api.cluster import Cluster
from kaas.api.update_status import THROUGH, RolledBack, UpdateSummary
from kaas.api.updates import AddOnUpdates
from kaas.api.versions import KubernetesVersion

_NOTHING: Final = UpdateSummary()


@dataclass(frozen=True)
class Coming:
    """What an update brings. at: when, as far as is known; None too while it is under way, or has stopped."""

    old: str
    new: str
    at: datetime | None


@dataclass(frozen=True)
class Look:
    """One add-on of a Cluster that has a version of it.

    addon: None when it may not be read. runs: version of Kubernetes. best: the newest version that can be used and
    supports it, None when there is none, or nobody knows.
    """

    cluster: Cluster
    addon: Addon | None
    has: InstalledAddOn
    runs: KubernetesVersion
    best: AddonVersion | None

    def coming(self) -> Coming | None:
        """What the update under way or the next one brings; None when it brings nothing of this add-on."""
        said, change, has = self._said, self._change, self.has.version or ""
        if self._is_begun:
            at = said.next_time if said.hold else None
            return Coming(change.from_, change.to, at) if change and change.to != has else None
        if (
            self.best is None
            or said.version is None
            or self._is_unwanted
            or order_of(self.best.version) <= order_of(has)
        ):
            return None
        target = KubernetesVersion.known(said.version)
        fits = target is not None and supports(self.best.kubernetes, target.minor)
        return Coming(has, self.best.version, said.next_time) if fits else None

    def why(self) -> str:
        """Why it has no newer version, from the newest down to the first that it could have; "" when there is none."""
        if self.addon is None:
            coming = self.coming()
            return self._not_yet(coming.new) if coming else ""
        found: list[str] = []
        newer = [v for v in self.addon.spec.versions if order_of(v.version) > order_of(self.has.version or "")]
        for version in sorted(newer, key=lambda v: order_of(v.version), reverse=True):
            own = self._is_begun and self._change is not None and self._change.to == version.version
            unfit = "" if own else _unfit(self.addon, version, self.runs)
            found.append(unfit or self._not_yet(version.version))
            if not unfit:
                break
        return "; ".join(found)

    @property
    def _said(self) -> UpdateSummary:
        return (self.cluster.status.update if self.cluster.status else None) or _NOTHING

    @property
    def _change(self) -> AddOnChange | None:
        return next((c for c in self._said.add_ons if c.name == self.has.name), None)

    @property
    def _taken_back(self) -> RolledBack | None:
        return next((r for r in self._said.rolled_back if r.what == "AddOn" and r.add_on == self.has.name), None)

    @property
    def _is_begun(self) -> bool:
        """Whether an update is under way, or has stopped."""
        return any(step.state not in THROUGH for step in self._said.steps)

    @property
    def _is_unwanted(self) -> bool:
        return self.cluster.spec.updates.add_ons is AddOnUpdates.NONE

    def _not_yet(self, best: str) -> str:
        """What keeps an update from having brought a version that the Cluster could have."""
        if self._is_begun and self._change and self._change.to == best:
            return self._under_way(best)
        if self._is_unwanted:
            return f"{best} is brought by no update, for spec.updates.addOns of the Cluster is None"
        said, words = self._said, f"{best} comes by an update"
        if self._is_begun:
            return f"{words} after the one that {_stopped(said) or 'is under way'}"
        if self.coming() is None:
            return f"{words} that is not planned yet{_because(said.message)}"
        return f"{words}{_because(said.message)}"

    def _under_way(self, best: str) -> str:
        said, back = self._said, self._taken_back
        if back is not None:
            return f"{back.from_} was taken back to {back.to or self.has.version}, for the update {_stopped(said)}"
        held = _because(said.hold.message if said.hold else None)
        return f"{best} comes by the update that {_stopped(said) or f'is under way{held}'}"


def _stopped(said: UpdateSummary) -> str:
    return f"has stopped: {said.stopped.message}" if said.stopped else ""


def _because(words: str | None) -> str:
    return f": {words}" if words else ""


def _unfit(addon: Addon, version: AddonVersion, runs: KubernetesVersion) -> str:
    """Why no update brings a version; empty when one may."""
    if words := why_not(addon, version.version):
        return words
    if not supports(version.kubernetes, runs.minor):
        return f"{version.version} supports Kubernetes {_range(version.kubernetes)}, {runs} runs"
    return ""


def _range(kubernetes: KubernetesRange) -> str:
    least, most = kubernetes.min_version, kubernetes.max_version
    if least and most:
        return least if least == most else f"{least} to {most}"
    return f"{least} and newer" if least else f"{most} and older"
