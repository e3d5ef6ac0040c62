"""The status of a Pod as its kubelet tells it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
SUCCEEDED, FAILED, RUNNING, PENDING = "Succeeded", "Failed", "Running", "Pending"
MESSAGE_BYTES = 4096
"""Of a termination message. Source: Kubernetes, container `terminationMessagePath`."""


@dataclass
class ContainerStatus:
    """What is known about a container. state: as in the API, one of waiting, running and terminated."""

    name: str
    image: str
    is_init: bool = False
    state: Object = field(default_factory=lambda: waiting("ContainerCreating"))
    last: Object = field(default_factory=dict)
    restarts: int = 0
    identity: str = ""

    @property
    def exit_code(self) -> int | None:
        """Exit code of a container that has ended."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return "running" in self.state

    def body(self) -> Object:
        """As the API has it."""
        ended = self.exit_code
        found: Object = {
            "name": self.name,
            "image": self.image,
            "imageID": f"lab/{self.image}" if self.identity else "",
            "state": self.state,
            "lastState": self.last,
            "restartCount": self.restarts,
            "ready": ended == 0 if self.is_init else self.is_running,
            "started": self.is_running,
        }
        return found | ({"containerID": self.identity} if self.identity else {})


def waiting(reason: str, message: str = "") -> Object:
    """State of a container that does not run yet."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def running(now: dt.datetime) -> Object:
    """State of a container that runs."""
    return {"running": {"startedAt": stamp(now)}}


def terminated(
    code: int, started: dt.datetime, now: dt.datetime, *, identity: str, message: str = "", reason: str = ""
) -> Object:
    """State of a container that has ended. code: 128 and the signal's number for one that was killed."""
    state = {
        "exitCode": code,
        "reason": reason or ("Completed" if code == 0 else "Error"),
        "startedAt": stamp(started),
        "finishedAt": stamp(now),
        "containerID": identity,
    }
    return {"terminated": state | ({"message": message} if message else {})}


@dataclass(frozen=True)
class Ending:
    """Why a kubelet ended a Pod: reason and message of its status."""

    reason: str = ""
    message: str = ""
    is_disruption: bool = False
    """Whether the condition DisruptionTarget says so."""


def phase(containers: Iterable[ContainerStatus], inits: Iterable[ContainerStatus], policy: str, *, ended: bool) -> str:
    """Phase of a Pod, as the kubelet's getPhase. ended: nothing of it will start again, whatever its restartPolicy."""
    mine, first = list(containers), list(inits)
    if ended:
        return SUCCEEDED if mine and all(c.exit_code == 0 for c in mine) else FAILED
    if any(c.exit_code for c in first) and policy == "Never":
        return FAILED
    if all(c.exit_code is not None for c in mine):
        if policy == "Always":
            return RUNNING
        failed = [c for c in mine if c.exit_code != 0]
        return SUCCEEDED if not failed else FAILED if policy == "Never" else RUNNING
    begun = any(c.is_running or c.exit_code is not None or c.restarts for c in mine)
    return RUNNING if begun else PENDING


def body(
    pod: Object,
    containers: list[ContainerStatus],
    inits: list[ContainerStatus],
    *,
    now: dt.datetime,
    started: dt.datetime,
    addresses: tuple[str, str],
    ending: Ending | None = None,
) -> Object:
    """The whole status. addresses: of the node and of the Pod. ending: set when the kubelet has ended the Pod."""
    policy = pod["spec"].get("restartPolicy", "Always")
    told = phase(containers, inits, policy, ended=ending is not None)
    status: Object = {
        "phase": told,
        "conditions": _conditions(pod, containers, inits, told, now, ending),
        "hostIP": addresses[0],
        "hostIPs": [{"ip": addresses[0]}],
        "podIP": addresses[1],
        "podIPs": [{"ip": addresses[1]}],
        "startTime": stamp(started),
        "containerStatuses": [c.body() for c in containers],
        "observedGeneration": pod["metadata"].get("generation", 1),
    }
    if inits:
        status["initContainerStatuses"] = [c.body() for c in inits]
    if ending and ending.reason:
        status |= {"reason": ending.reason, "message": ending.message}
    return status


def _conditions(
    pod: Object,
    containers: list[ContainerStatus],
    inits: list[ContainerStatus],
    told: str,
    now: dt.datetime,
    ending: Ending | None,
) -> list[Object]:
    done = told in {SUCCEEDED, FAILED}
    why = "PodCompleted" if told == SUCCEEDED else "PodFailed" if told == FAILED else "ContainersNotReady"
    unready = [c.name for c in containers if not c.is_running]
    uninitialized = [c.name for c in inits if c.exit_code != 0]
    ready = not unready and not done
    message = "" if ready or done else f"containers with unready status: [{' '.join(unready)}]"
    wanted: dict[str, tuple[bool, str, str]] = {
        "PodReadyToStartContainers": (not done and any(c.identity for c in [*inits, *containers]), "", ""),
        "Initialized": (
            not uninitialized,
            "ContainersNotInitialized" if uninitialized else "PodCompleted" if told == SUCCEEDED else "",
            f"containers with incomplete status: [{' '.join(uninitialized)}]" if uninitialized else "",
        ),
        "Ready": (ready, "" if ready else why, message),
        "ContainersReady": (ready, "" if ready else why, message),
    }
    if ending and ending.is_disruption:
        wanted["DisruptionTarget"] = (True, "TerminationByKubelet", ending.message)
    known = {c["type"]: c for c in pod.get("status", {}).get("conditions") or ()}
    return [_condition(kind, *value, known.get(kind), now) for kind, value in wanted.items()]


def _condition(kind: str, holds: bool, reason: str, message: str, before: Object | None, now: dt.datetime) -> Object:
    status = "True" if holds else "False"
    since = before["lastTransitionTime"] if before and before["status"] == status else stamp(now)
    found = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
    return found | {"reason": reason or None, "message": message or None}


def stamp(when: dt.datetime) -> str:
    """A time as the API has it, to the second."""
    return when.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
