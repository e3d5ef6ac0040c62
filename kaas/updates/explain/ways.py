"""What a person can do about a Cluster that has not been updated, by the obstacle. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from kaas.api.constants import (
    ANNOTATION_UPDATE_CHECK,
    ANNOTATION_UPDATE_POOLS,
    ANNOTATION_UPDATE_RETRY,
    ANNOTATION_UPDATES_PAUSED,
)
from kaas.api.preflight import ALWAYS
from kaas.api.update_status import AHEAD, EXPIRED, VERSION_CHANGED, PreflightFinding
from kaas.api.versions import KubernetesVersion
from kaas.kube.resources import PAUSED_ANNOTATION
from kaas.updates.addons import ADD_ON_LIMIT
from kaas.updates.conduct import BLOCKED, LOOKED_AT
from kaas.updates.explain.facts import Explanation, State, Way
from kaas.updates.explain.runs import WINDOW_CLOSED, current
from kaas.updates.explain.untaken import better
from kaas.updates.explain.view import View
from kaas.updates.facts import ROLLOUT_PENDING, Change
from kaas.updates.ledger.advance import BY_HAND
from kaas.updates.ledger.steps import pool_of
from kaas.updates.limits import SITE_LIMIT, limit_of
from kaas.updates.places import SITE_BUSY
from kaas.updates.planner import STOPPED
from kaas.updates.targets import EXPIRED_ALONE
from kaas.updates.unread import RELEASE_UNREADABLE, ROLLOUT_UNREADABLE
from kaas.updates.unusable import INVALID

Ways = Callable[[View], Iterator[Way]]


def ways(view: View, found: Explanation) -> Iterator[Way]:
    """What can be done now; none where there is nothing to be done, or it goes on by itself."""
    yield from _BY_REASON.get(found.reason, _nothing)(view)
    choice = view.decision.choice
    by_hand = found.state is State.WAITS or found.reason == ROLLOUT_PENDING
    if by_hand and choice is not None and not choice.asked and choice.change in (Change.PATCH, Change.MINOR):
        yield _at_once(choice.version)


def _at_once(version: KubernetesVersion) -> Way:
    return Way(
        f"to have it at once, outside of any window, set spec.version to {version}: that update begins when its checks "
        "let it, and the Cluster is pinned"
    )


def _nothing(view: View) -> Iterator[Way]:
    yield from ()


# --- commands -----------------------------------------------------------------------------------------------------


def _where(view: View) -> str:
    meta = view.cluster.metadata
    return f"{meta.name} -n {meta.namespace}"


def _namespace(view: View) -> str:
    return view.cluster.metadata.namespace or ""


def _key(view: View) -> str:
    return f"{view.cluster.metadata.namespace}/{view.cluster.metadata.name}"


def _annotate(view: View, annotation: str) -> str:
    return f"kubectl annotate clusters.kaas.internal {_where(view)} {annotation}"


# --- nothing is to come -------------------------------------------------------------------------------------------


def _unpin(view: View) -> Iterator[Way]:
    running = view.subject.running
    if running is not None:
        yield Way(f'set spec.version to "1.{running.minor}": then it follows its channel')
    if found := better(view.subject, view.now):
        yield Way(f"or set spec.version to {found.version}, which is begun at once")


def _channel(view: View) -> Iterator[Way]:
    yield Way("set spec.updates.channel to Rapid, Regular or Stable")


def _kubernetes(view: View) -> Iterator[Way]:
    yield Way("set spec.updates.kubernetes to Patch or Minor")


def _ahead(view: View) -> Iterator[Way]:
    yield Way(f"set spec.version to {view.subject.running}, or to the minor alone to follow its channel")


def _limit(view: View) -> Iterator[Way]:
    site = view.subject.site
    limit = limit_of(view.cluster, site, view.subject.limits)
    said = f": {limit.message}" if limit else ""
    yield Way(f"raise the limit{said}", f"kubectl edit sites.kaas.internal {site.metadata.name}")


def _add_on_limit(view: View) -> Iterator[Way]:
    limit = limit_of(view.cluster, view.subject.site, view.subject.limits)
    said = f": {limit.message}" if limit else ""
    yield Way(f"see which versions of its add-ons there are{said}", f"kaas addons status -n {_namespace(view)}")


def _unfit(view: View) -> Iterator[Way]:
    turn = view.turn
    if turn is not None:
        words = f"do what the message says, or have the Cluster left out of Rollout {turn.rollout} for a reason"
        yield Way(words, f"kaas rollout skip {turn.rollout} {_key(view)} --reason '<reason>'")


def _add_release(view: View) -> Iterator[Way]:
    yield Way("add a Release of a newer version with dates in spec.channels", "kaas apply -f <release.yaml>")


def _other_channel(view: View) -> Iterator[Way]:
    yield Way("choose a quicker spec.updates.channel, or set an earlier date in spec.channels of the Release")


def _other_version(view: View) -> Iterator[Way]:
    running = view.subject.running
    if running is not None:
        yield Way(f"set spec.version to one that there is a Release of, of 1.{running.minor} or 1.{running.minor + 1}")


def _preview(view: View) -> Iterator[Way]:
    yield Way("set spec.version to exactly that version to try a preview: it pins the Cluster")


# --- something is to come -----------------------------------------------------------------------------------------


def _windows(view: View) -> Iterator[Way]:
    yield Way("change spec.maintenance.windows of the Cluster", f"kaas next {_where(view)}")


def _maintenance(view: View) -> Iterator[Way]:
    yield Way("correct what the message names: windows and exclusions of Cluster, Namespace and Site count together")


def _exclusion(view: View) -> Iterator[Way]:
    yield Way("end the exclusion earlier, or give it another scope, where it is set (see the reasons)")


def _unpause(view: View) -> Iterator[Way]:
    for annotation in (PAUSED_ANNOTATION, ANNOTATION_UPDATES_PAUSED):
        if annotation in view.cluster.metadata.annotations:
            yield Way(f"remove the annotation {annotation}", _annotate(view, f"{annotation}-"))


def _repairs(view: View) -> Iterator[Way]:
    yield Way(
        "see what is repaired, and what holds it back", f"kaas repair status -n {view.cluster.metadata.namespace}"
    )


def _look(view: View) -> Iterator[Way]:
    yield Way("see what is not well, down to its servers", f"kaas status {_where(view)}")


def _preflight(view: View) -> Iterator[Way]:
    for finding in view.blocking:
        yield _override(finding)
    yield Way("have it looked at again at once", _annotate(view, f'{ANNOTATION_UPDATE_CHECK}="$(date)" --overwrite'))


def _override(finding: PreflightFinding) -> Way:
    if finding.check in ALWAYS:
        return Way(f"{finding.check}: remove what it has found; nobody can do without this check")
    words = f"{finding.check}: remove what it has found, or put up with it in spec.updates.preflight.overrides: "
    return Way(f"{words}{{check: {finding.check}, reason: <why>}}")


def _site_busy(view: View) -> Iterator[Way]:
    name = view.subject.site.metadata.name
    yield Way(f"raise spec.updates.maxConcurrent of Site {name}", f"kubectl edit sites.kaas.internal {name}")


def _read(view: View) -> Iterator[Way]:
    for unread in view.subject.unread:
        yield Way(f"correct Release {unread.name}, or delete it", f"kubectl edit releases.kaas.internal {unread.name}")


def _rollout(view: View) -> Iterator[Way]:
    turn = view.turn
    if turn is not None and turn.reason == ROLLOUT_UNREADABLE:
        yield Way(
            f"correct Rollout {turn.rollout}, or delete it", f"kubectl edit rollouts.kaas.internal {turn.rollout}"
        )
    elif turn is not None:
        yield Way(f"see how far Rollout {turn.rollout} is", f"kaas rollout status {turn.rollout}")
        if turn.reason == "RolloutPaused":
            yield Way("have it go on", f"kaas rollout resume {turn.rollout}")
        if turn.reason == "RolloutSkipped":
            words = "have the Cluster taken in again"
            yield Way(words, f"kaas rollout retry {turn.rollout} {_key(view)} --reason '<reason>'")


def _rollout_done(view: View) -> Iterator[Way]:
    turn = view.turn
    if turn is not None:
        yield Way(f"see what Rollout {turn.rollout} still has to do", f"kaas rollout status {turn.rollout}")


def _controller(view: View) -> Iterator[Way]:
    yield Way("see whether the controller runs, and what it logs", "kubectl get pods -n kaas-system")


# --- it is under way ----------------------------------------------------------------------------------------------


def _retry(view: View) -> Iterator[Way]:
    yield Way(
        "remove the cause, then say that it goes on",
        _annotate(view, f"{ANNOTATION_UPDATE_RETRY}='<reason>' --overwrite"),
    )
    stopped = view.update.stopped
    if stopped is not None and stopped.reason == "MachineNotJoining":
        words = "have another one made in place of the machine that has not joined: it boots no second time"
        namespace = view.cluster.metadata.namespace
        yield Way(words, f"kubectl delete machines.cluster.x-k8s.io -n {namespace} '<machine>'")
    yield from _look(view)


def _release_pool(view: View) -> Iterator[Way]:
    step = current(view)
    pool = (pool_of(step) if step else None) or "<pool>"
    before = view.cluster.metadata.annotations.get(ANNOTATION_UPDATE_POOLS, "").strip()  # those may be under way
    names = f"'{before},{pool}'" if before else pool
    yield Way(f"say that pool {pool} may begin", _annotate(view, f"{ANNOTATION_UPDATE_POOLS}={names} --overwrite"))


_BY_REASON: Final[Mapping[str, Ways]] = MappingProxyType(
    {
        "Pinned": _unpin,
        "ChannelNone": _channel,
        "KubernetesNone": _kubernetes,
        AHEAD: _ahead,
        SITE_LIMIT: _limit,
        ADD_ON_LIMIT: _add_on_limit,
        "ReleaseUnfit": _unfit,
        "KubernetesPatch": _unfit,
        "MinorSkipped": _unfit,
        EXPIRED_ALONE: _add_release,
        "NotInChannel": _other_channel,
        "PreviewOnly": _preview,
        EXPIRED: _windows,
        "OutsideMaintenance": _windows,
        "NoMaintenanceWindow": _windows,
        INVALID: _maintenance,
        "Excluded": _exclusion,
        "Paused": _unpause,
        "RepairInFlight": _repairs,
        "NotReady": _look,
        "NotRunning": _look,
        VERSION_CHANGED: _other_version,
        "MachinesNotReady": _look,
        "UnderWay": _look,
        WINDOW_CLOSED: _windows,
        BLOCKED: _preflight,
        LOOKED_AT: _look,
        ROLLOUT_PENDING: _rollout,
        "RolloutDone": _rollout_done,
        RELEASE_UNREADABLE: _read,
        SITE_BUSY: _site_busy,
        "NotLookedAt": _controller,
        STOPPED: _retry,
        BY_HAND: _release_pool,
    }
)
