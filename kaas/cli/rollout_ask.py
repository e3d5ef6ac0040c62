"""`kaas rollout approve`, `pause`, `resume`, `skip`, `retry` and `abort`: a person says so, the controller does it."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from kaas.api.constants import ANNOTATION_UPDATE_RETRY
from kaas.api.rollout import (
    ANNOTATION_ROLLOUT_ABORT,
    ANNOTATION_ROLLOUT_APPROVED,
    ANNOTATION_ROLLOUT_RETRY,
    ANNOTATION_ROLLOUT_SKIP,
    Rollout,
)
from kaas.api.rollout_acts import Act, abort_text, with_act
from kaas.cli import rollout_choice
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.output import console, emit
from kaas.cli.readable import read
from kaas.cli.rollout_choice import Key
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.cli.status import lean
from kaas.kube import resources
from kaas.kube.errors import Conflict, Forbidden, NotFound
from kaas.kube.objects import Object, Ref, annotation

ATTEMPTS: Final = 5
"""So often a change is tried again when somebody else has changed the object in between."""
Change = Callable[[Object, Rollout], Object]
"""The merge patch for a Rollout as it is now. Raises CliError when it makes no sense any more."""


def approve(settings: Settings, name: str, gate: str | None, reason: str) -> None:
    """Open a gate of type Approval. CliError when there is none of that name, or it is not clear which."""
    run(_approve(settings, name, gate, reason))


async def _approve(settings: Settings, name: str, gate: str | None, reason: str) -> None:
    async with session(settings) as connected:
        act = await _act(connected, reason)
        chosen = ""

        def change(raw: Object, rollout: Rollout) -> Object:
            nonlocal chosen
            chosen = rollout_choice.gate(rollout, gate)
            return _noted(raw, ANNOTATION_ROLLOUT_APPROVED, {chosen: act})

        written = await _change(connected, name, change)
    _tell(settings, written, f"{chosen} is approved")


def pause(settings: Settings, name: str) -> None:
    """Begin nothing further."""
    run(_pause(settings, name, paused=True))


def resume(settings: Settings, name: str) -> None:
    """Go on. CliError when it is not paused: then something else holds it."""
    run(_pause(settings, name, paused=False))


async def _pause(settings: Settings, name: str, *, paused: bool) -> None:
    def change(_: Object, rollout: Rollout) -> Object:
        if not paused:
            rollout_choice.is_paused(rollout)
        return {"spec": {"paused": paused}}

    async with session(settings) as connected:
        written = await _change(connected, name, change)
    _tell(settings, written, "begins nothing further; what has begun is finished" if paused else "goes on")


def skip(settings: Settings, name: str, members: Sequence[str], reason: str) -> None:
    """Leave members out of this run. CliError when one is no Cluster, or through already."""
    run(_skip(settings, name, members, _needed(reason)))


async def _skip(settings: Settings, name: str, members: Sequence[str], reason: str) -> None:
    async with session(settings) as connected:
        keys = [rollout_choice.key(m, connected.namespace) for m in members]
        there = {key for key in keys if await _cluster(connected, key) is not None}
        act = await _act(connected, reason)

        def change(raw: Object, rollout: Rollout) -> Object:
            rollout_choice.may_skip(rollout, keys, there)
            return _noted(raw, ANNOTATION_ROLLOUT_SKIP, {"/".join(key): act for key in keys})

        written = await _change(connected, name, change)
    _tell(settings, written, f"{_names(keys)} left out of this run")


def retry(settings: Settings, name: str, members: Sequence[str], reason: str) -> None:
    """Try members again; all that failed when none is named. CliError when one has not failed, nor is skipped."""
    run(_retry(settings, name, members, _needed(reason)))


async def _retry(settings: Settings, name: str, members: Sequence[str], reason: str) -> None:
    async with session(settings) as connected:
        named = [rollout_choice.key(m, connected.namespace) for m in members]
        act = await _act(connected, reason)
        keys: list[Key] = []

        def change(raw: Object, rollout: Rollout) -> Object:
            keys[:] = rollout_choice.to_retry(rollout, named)
            return _noted(raw, ANNOTATION_ROLLOUT_RETRY, {"/".join(key): act for key in keys})

        written = await _change(connected, name, change)
        stopped = [key for key in keys if await _goes_on(connected, key, act)]
    also = f"; {_names(stopped)} told to go on with the update that had stopped" if stopped else ""
    _tell(settings, written, f"{_names(keys)} tried again{also}")


async def _goes_on(connected: Session, key: Key, act: Act) -> bool:
    """Have a Cluster's own update go on where it has stopped; False when it has not.

    A Rollout never writes to Clusters, so the person who has the member tried again says it there as well.
    """
    cluster = await _cluster(connected, key)
    status: Object = (cluster or {}).get("status") or {}
    if cluster is None or "stopped" not in (status.get("update") or {}):
        return False
    said = f"{act.reason} ({act.by or 'somebody'}, {act.at:%Y-%m-%d %H:%M:%S})"  # the same reason counts once
    await connected.client.patch(_ref(key), {"metadata": {"annotations": {ANNOTATION_UPDATE_RETRY: said}}})
    return True


def abort(settings: Settings, name: str, reason: str) -> None:
    """End this run. CliError when none is under way."""
    run(_abort(settings, name, _needed(reason)))


async def _abort(settings: Settings, name: str, reason: str) -> None:
    async with session(settings) as connected:
        act = await _act(connected, reason)

        def change(_: Object, rollout: Rollout) -> Object:
            rollout_choice.may_abort(rollout)
            return {"metadata": {"annotations": {ANNOTATION_ROLLOUT_ABORT: abort_text(act)}}}

        written = await _change(connected, name, change)
    _tell(settings, written, "this run is ended; what has begun is finished")


# --- what all have in common --------------------------------------------------------------------------------------


def _needed(reason: str) -> str:
    if not reason.strip():
        raise CliError("--reason: say why: it is shown wherever this counts", ExitCode.WRONG_INPUT)
    return reason.strip()


async def _act(connected: Session, reason: str) -> Act:
    return Act(at=datetime.now(UTC), by=(await _who(connected))[:253], reason=reason[:512])


async def _who(connected: Session) -> str:
    """Who calls, as the API server knows them; where it does not say, as this computer does."""
    question = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    try:
        found = await connected.client.create(question)
    except (Forbidden, NotFound):  # switched off, or older than Kubernetes 1.28
        return getpass.getuser()
    return str(found["status"]["userInfo"].get("username") or getpass.getuser())


async def _change(connected: Session, name: str, change: Change) -> Object:
    """Change a Rollout as it was read; read it anew when somebody else was quicker."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await _try(connected, name, change)
        except Conflict:
            continue
    return await _try(connected, name, change)


async def _try(connected: Session, name: str, change: Change) -> Object:
    raw = await found(connected, name)
    patch = change(raw, read(Rollout, raw))
    version = {"resourceVersion": raw["metadata"]["resourceVersion"]}
    meta = {**(patch.get("metadata") or {}), **version}
    return await connected.client.patch(_rollout(name), {**patch, "metadata": meta})


async def found(connected: Session, name: str) -> Object:
    """The Rollout of a name. CliError when there is none."""
    raw = await connected.client.get(_rollout(name))
    if raw is None:
        known = ", ".join(sorted(r["metadata"]["name"] for r in await connected.list(resources.ROLLOUT))) or "none"
        raise CliError(f"there is no Rollout {name!r}; there is {known}", ExitCode.NOT_FOUND)
    return raw


def _rollout(name: str) -> Ref:
    return Ref(resources.ROLLOUT.api_version, "Rollout", None, name)


def _ref(key: Key) -> Ref:
    return Ref(resources.CLUSTER.api_version, "Cluster", *key)


async def _cluster(connected: Session, key: Key) -> Object | None:
    return await connected.client.get(_ref(key))


def _noted(raw: Object, name: str, acts: Mapping[str, Act]) -> Object:
    """A patch that adds acts to an annotation."""
    value = annotation(raw, name)
    for key, act in acts.items():
        value = with_act(value, key, act)
    return {"metadata": {"annotations": {name: value}}}


def _names(keys: Iterable[Key]) -> str:
    names = ["/".join(key) for key in keys]
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _tell(settings: Settings, rollout: Object, what: str) -> None:
    if settings.output is not None:
        emit(lean(rollout), settings.output)
        return
    name = rollout["metadata"]["name"]
    console(settings).print(f"Rollout {name}: {what}; see `kaas rollout status {name}`", markup=False)
