"""Finding the Machine that a person means: by its name, its node's, its server's or the server's ID."""

from __future__ import annotations

from collections.abc import Iterable

from kaas.cli.exits import CliError, ExitCode
from kaas.cli.session import Session
from kaas.kube import resources
from kaas.kube.objects import Object, Objects, labels
from kaas.kube.resources import CLUSTER_NAME_LABEL


async def find(connected: Session, name: str) -> Object:
    """The Machine in the namespace of the command. CliError when there is none, or more than one."""
    machines = await connected.list(resources.MACHINE, connected.namespace, CLUSTER_NAME_LABEL)
    found = matching(machines, name)
    if len(found) == 1:
        return found[0]
    raise ambiguous(name, found) if found else unknown(name, connected.namespace, await _elsewhere(connected, name))


async def _elsewhere(connected: Session, name: str) -> Objects:
    return matching(await connected.list(resources.MACHINE, None, CLUSTER_NAME_LABEL), name)


def matching(machines: Iterable[Object], name: str) -> Objects:
    """Machines that go by this name. One that has it as its own name is meant before others' nodes."""
    every = list(machines)
    own = [m for m in every if m["metadata"]["name"] == name]
    return own or [m for m in every if name in names(m)]


def names(machine: Object) -> set[str]:
    """What people may call a Machine: also its node, its server and the server's ID."""
    spec, status = machine.get("spec") or {}, machine.get("status") or {}
    said = (
        machine["metadata"]["name"],
        (status.get("nodeRef") or {}).get("name"),
        (spec.get("infrastructureRef") or {}).get("name"),
        (spec.get("providerID") or "").rpartition("/")[2],
    )
    return {s for s in said if s}


def ambiguous(name: str, found: Objects) -> CliError:
    """The error for a name that several go by."""
    several = ", ".join(f"{m['metadata']['name']} (Cluster {labels(m).get(CLUSTER_NAME_LABEL)})" for m in found)
    return CliError(f"{name!r} are several machines: {several}; name one of these Machines", ExitCode.WRONG_INPUT)


def unknown(name: str, namespace: str, elsewhere: Objects) -> CliError:
    """The error for a name that no machine goes by."""
    words = f"there is no node, machine or server {name!r} in namespace {namespace}"
    others = sorted({m["metadata"]["namespace"] for m in elsewhere})
    way_out = (
        f"there is one with `-n {others[0]}`" if others else "`kaas status CLUSTER` lists the machines of a Cluster"
    )
    return CliError(f"{words}; {way_out}", ExitCode.NOT_FOUND)
