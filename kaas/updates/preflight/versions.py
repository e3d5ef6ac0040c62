"""Which versions may run beside each other: Kubernetes' version skew policy. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from kaas.updates.preflight.facts import Found, Kubelet, PreflightFacts, Unknown, listed, unknown

KUBELET_BEHIND: Final = 3
"""Minors that a kubelet may be older than its API server (kubernetes.io/releases/version-skew-policy, since 1.28)."""
_MINOR: Final = re.compile(r"v?1\.([0-9]+)\b")


def version_skew(facts: PreflightFacts) -> Iterator[Found]:
    """The control plane goes up by one minor at most and never back, is of one version, and no kubelet is left out."""
    yield from _step(facts)
    yield from _one_version(facts)
    yield from _kubelets(facts)


def add_on_support(facts: PreflightFacts) -> Iterator[Found]:
    """The add-ons that the Cluster has support the version; a person may ask for one that they do not."""
    yield from map(Found, facts.case.against)


def _step(facts: PreflightFacts) -> Iterator[Found]:
    target, running = facts.case.aims.version, facts.case.running
    if target < running:
        yield Found(
            f"the control plane runs {running} and cannot go back to {target}: set spec.version to {running} or newer"
        )
    if target.minor > running.minor + 1:
        yield Found(
            f"the control plane runs {running} and can go up by one minor only, not to {target}: "
            f'go to 1.{running.minor + 1} first (spec.version: "1.{running.minor + 1}")'
        )


def _one_version(facts: PreflightFacts) -> Iterator[Found]:
    """Before it begins; once it has begun, machines of the old and the new version are side by side."""
    if facts.case.began is not None:
        return
    machines = [m for m in facts.machines if m.control_plane]
    versions = sorted({m.version for m in machines if m.version})
    if len(versions) > 1:
        each = [f"Machine {m.name} has {m.version}" for m in machines]
        yield Found(
            f"the control plane is of several versions ({', '.join(versions)}), an update before this one is not "
            f"through: {listed(each)}; wait until it is, see `kubectl get machines`"
        )


def _kubelets(facts: PreflightFacts) -> Iterator[Found]:
    if isinstance(facts.kubelets, Unknown):
        if not facts.cluster_away:
            yield unknown("the versions of the kubelets", facts.kubelets)
        return
    target = facts.case.aims.version
    old = _those(facts.kubelets, lambda minor: minor < target.minor - KUBELET_BEHIND)
    if old:
        yield Found(
            f"{listed(old)}: a kubelet may be {KUBELET_BEHIND} minors older than its API server, and "
            f"{target} would be more; bring the pools of these nodes to a newer version first"
        )
    new = _those(facts.kubelets, lambda minor: minor > target.minor)
    if new:
        yield Found(f"{listed(new)}: no kubelet may be newer than its API server, which would be {target}")
    strange = [f"{k.node} ({k.version})" for k in facts.kubelets if _MINOR.match(k.version) is None]
    if strange:
        yield Found(f"Node {listed(sorted(strange))}: the version of the kubelet is not one of Kubernetes", warns=True)


def _those(kubelets: tuple[Kubelet, ...], wrong: Callable[[int], bool]) -> list[str]:
    """Nodes whose kubelet has such a minor, the oldest first."""
    minors = sorted((int(m[1]), k.node, k.version) for k in kubelets if (m := _MINOR.match(k.version)))
    return [f"Node {node} runs {version}" for minor, node, version in minors if wrong(minor)]
